import NIOCore
import SwiftProtobuf

/// A frame in its bytes, made on the sender's thread so that only copying is left for the connection.
struct EncodedFrame: Sendable {
    /// The kinds whose wrapping in `LinkFrame` is written by hand: it saves measuring and copying every
    /// message twice.
    enum Kind: UInt8 {
        case hello = 1
        case request = 2
        case response = 3
        case delivery = 4
        case ping = 5
        case pong = 6
        case sessionEnded = 7
        case draining = 8

        /// The protobuf tag of the frame's field: its number and "length-delimited".
        var tag: UInt8 { rawValue << 3 | 2 }
    }

    /// Nil when the bytes are a whole `LinkFrame`.
    let kind: Kind?
    let bytes: [UInt8]

    init(_ kind: Kind, _ message: some Message) throws {
        self.kind = kind
        #if FAILPOINTS
            bytes = NextLink.extended(try message.serializedBytes())
        #else
            bytes = try message.serializedBytes()
        #endif
    }

    init(_ frame: LinkFrame) throws {
        kind = nil
        #if FAILPOINTS
            bytes = NextLink.extended(try frame.serializedBytes())
        #else
            bytes = try frame.serializedBytes()
        #endif
    }

    /// Takes bytes as they are.
    init(_ kind: Kind? = nil, raw bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }

    /// The frame's size without its length prefix.
    var count: Int { kind == nil ? bytes.count : 1 + Self.varintCount(bytes.count) + bytes.count }

    /// Appends the length and the frame.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(count))
        if let kind {
            buffer.writeInteger(kind.tag)
            var rest = UInt64(bytes.count)
            while rest >= 0x80 {
                buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            buffer.writeInteger(UInt8(rest))
        }
        buffer.writeBytes(bytes)
    }

    private static func varintCount(_ value: Int) -> Int {
        var rest = value >> 7
        var count = 1
        while rest > 0 {
            rest >>= 7
            count += 1
        }
        return count
    }
}
