import NIOCore
import SwiftProtobuf

/// Cuts a stream of bytes into frames and decodes them; any input ends in frames or in an error, never in a
/// crash.
struct FrameDecoder {
    /// What a frame may be long from the next one on.
    var limitBytes: Int
    private var buffer = ByteBuffer()

    /// Consumed bytes are given back when there are more than this.
    private static let keptBytes = 1 << 16

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            var bytes = bytes
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next whole frame, nil when more bytes are needed; kinds of a newer version are passed over.
    mutating func next() throws(FrameError) -> LinkFrame.OneOf_Kind? {
        while let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) {
            guard length <= limitBytes else { throw .tooLong(bytes: Int(length), limit: limitBytes) }
            guard buffer.readableBytes >= 4 + Int(length) else { break }
            let kind = try Self.decode(buffer, at: buffer.readerIndex + 4, count: Int(length))
            buffer.moveReaderIndex(forwardBy: 4 + Int(length))
            if let kind { return kind }
        }
        if buffer.readableBytes == 0 {
            buffer = ByteBuffer()
        } else if buffer.readerIndex > Self.keptBytes {
            buffer.discardReadBytes()
        }
        return nil
    }

    private static func decode(
        _ buffer: ByteBuffer, at index: Int, count: Int
    ) throws(FrameError) -> LinkFrame.OneOf_Kind? {
        do {
            return try buffer.withUnsafeReadableBytes { all in
                try decode(
                    UnsafeRawBufferPointer(rebasing: all[(index - buffer.readerIndex)...].prefix(count)))
            }
        } catch {
            throw .malformed
        }
    }

    /// The three kinds of the hot path are decoded without the wrapping `LinkFrame`, where it holds nothing
    /// else.
    private static func decode(_ bytes: UnsafeRawBufferPointer) throws -> LinkFrame.OneOf_Kind? {
        if let kind = bytes.first, let body = soleField(bytes) {
            switch kind {
            case EncodedFrame.Kind.request.tag: return .request(try LinkRequest(serializedBytes: body.bytes))
            case EncodedFrame.Kind.response.tag:
                return .response(try LinkResponse(serializedBytes: body.bytes))
            case EncodedFrame.Kind.delivery.tag:
                return .delivery(try LinkDelivery(serializedBytes: body.bytes))
            default: break
            }
        }
        return try LinkFrame(serializedBytes: bytes.bytes).kind
    }

    /// The content of the first field when it fills the rest of the frame.
    private static func soleField(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var length = 0
        var index = 1
        while index < bytes.count, index <= 5 {
            let byte = bytes[index]
            length |= Int(byte & 0x7F) << (7 * (index - 1))
            index += 1
            if byte < 0x80 {
                return length == bytes.count - index ? UnsafeRawBufferPointer(rebasing: bytes[index...]) : nil
            }
        }
        return nil
    }
}

/// Why a connection's bytes cannot be read on.
enum FrameError: Error, Hashable, CustomStringConvertible {
    case tooLong(bytes: Int, limit: Int)
    case malformed
    case helloExpected
    case helloTwice
    case otherVersions(LinkVersions)
    case unexpected(String)
    /// What a field of a message holds that it must not.
    case outOfRange(String)
    case stopping

    /// The first three bytes of every TLS connection: a handshake record.
    private static let startOfTLS = 0x16_03_01
    /// The first two of a TLS alert, as a server answers plain text.
    private static let startOfAlert = 0x15_03

    var description: String {
        switch self {
        case .tooLong(let bytes, _) where bytes >> 8 == Self.startOfTLS || bytes >> 16 == Self.startOfAlert:
            "the peer speaks TLS, and this end has no certificate: start both ends with --link-certificate, "
                + "--link-key and --link-ca, or none"
        case .tooLong(let bytes, let limit):
            "a frame of \(bytes) bytes was announced; at most \(limit) are allowed"
        case .malformed: "a frame cannot be decoded"
        case .helloExpected: "the first frame is not a hello"
        case .helloTwice: "a second hello"
        case .otherVersions(let versions):
            "the peer speaks version \(versions) of the link protocol, this program \(LinkVersions.ours); bring the older one up to date"
        case .stopping: "the server is stopping"
        case .outOfRange(let fault): "a message makes no sense: \(fault)"
        case .unexpected(let kind): "a frame of the kind ‘\(kind)’ is not for this end"
        }
    }
}
