import NIOCore

/// The bytes before a WebSocket frame's payload, as a client sends them (RFC 6455, section 5.2).
struct WebSocketHeader: Equatable {
    enum Opcode: UInt8 {
        case continuation = 0x0
        case text = 0x1
        case binary = 0x2
        case close = 0x8
        case ping = 0x9
        case pong = 0xA

        var isControl: Bool { rawValue & 0x8 != 0 }
    }

    /// What breaks the WebSocket protocol, so that the connection cannot go on.
    enum Fault: Error, Equatable {
        case notMasked
        case reservedBitSet
        case unknownOpcode
        case badControlFrame
        case badLength
        case tooLarge
    }

    let isFinal: Bool
    let opcode: Opcode
    /// Four bytes in the order they had on the wire.
    let mask: UInt32
    let headerBytes: Int
    let payloadBytes: Int

    /// Looks at the start of a buffer without consuming it; nil while the header is not complete.
    /// - Parameter payloadLimit: the largest payload that is accepted, in bytes.
    static func peek(at buffer: ByteBuffer, payloadLimit: Int) throws(Fault) -> WebSocketHeader? {
        let start = buffer.readerIndex
        guard let first = buffer.getInteger(at: start, as: UInt8.self),
            let second = buffer.getInteger(at: start + 1, as: UInt8.self)
        else { return nil }
        guard first & 0x70 == 0 else { throw .reservedBitSet }
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .unknownOpcode }
        guard second & 0x80 != 0 else { throw .notMasked }
        let isFinal = first & 0x80 != 0
        let shortLength = Int(second & 0x7F)
        if opcode.isControl, !isFinal || shortLength > WebSocketWriter.controlPayloadLimit {
            throw .badControlFrame
        }
        guard let (length, lengthBytes) = try readLength(buffer, at: start + 2, shortLength: shortLength)
        else {
            return nil
        }
        guard length <= payloadLimit else { throw .tooLarge }
        guard let mask = buffer.getInteger(at: start + 2 + lengthBytes, endianness: .host, as: UInt32.self)
        else {
            return nil
        }
        return WebSocketHeader(
            isFinal: isFinal, opcode: opcode, mask: mask, headerBytes: 2 + lengthBytes + 4,
            payloadBytes: length)
    }

    /// The length and how many bytes it took after the first two; the shortest form is required.
    private static func readLength(
        _ buffer: ByteBuffer, at index: Int, shortLength: Int
    ) throws(Fault) -> (length: Int, bytes: Int)? {
        switch shortLength {
        case 126:
            guard let length = buffer.getInteger(at: index, as: UInt16.self) else { return nil }
            guard length > 125 else { throw .badLength }
            return (Int(length), 2)
        case 127:
            guard let length = buffer.getInteger(at: index, as: UInt64.self) else { return nil }
            guard length > UInt64(UInt16.max), let exact = Int(exactly: length) else { throw .badLength }
            return (exact, 8)
        default:
            return (shortLength, 0)
        }
    }
}

extension ByteBuffer {
    /// Appends a masked payload, unmasked in one pass, eight bytes at a time.
    /// - Parameter masked: exactly the payload's bytes.
    mutating func writeUnmasked(_ masked: ByteBufferView, mask: UInt32) {
        let count = masked.count
        writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            masked.withUnsafeBytes { source in
                let wide = UInt64(mask) << 32 | UInt64(mask)
                var index = 0
                while index + 8 <= count {
                    let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide
                    target.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
                    index += 8
                }
                withUnsafeBytes(of: mask) { mask in
                    while index < count {
                        target[index] = source[index] ^ mask[index & 3]
                        index += 1
                    }
                }
            }
            return count
        }
    }
}

/// Writes the frames of a WebSocket server, which are never masked and never fragmented.
enum WebSocketWriter {
    static let controlPayloadLimit = 125

    /// Appends the header of a frame whose payload of `payloadBytes` bytes is appended next.
    static func writeHeader(
        _ opcode: WebSocketHeader.Opcode, payloadBytes: Int, into buffer: inout ByteBuffer
    ) {
        buffer.writeInteger(0x80 | opcode.rawValue)
        switch payloadBytes {
        case 0...125:
            buffer.writeInteger(UInt8(payloadBytes))
        case 126...Int(UInt16.max):
            buffer.writeInteger(126 as UInt8)
            buffer.writeInteger(UInt16(payloadBytes))
        default:
            buffer.writeInteger(127 as UInt8)
            buffer.writeInteger(UInt64(payloadBytes))
        }
    }

    /// The most bytes that `writeHeader` appends.
    static let headerLimit = 10

    /// Appends a close frame with its code and a short reason.
    static func writeClose(_ code: WebSocketCloseCode, into buffer: inout ByteBuffer) {
        writeHeader(.close, payloadBytes: 2, into: &buffer)
        buffer.writeInteger(code.rawValue)
    }
}

/// Why a live connection ends (docs/client-protocol.md section 3).
enum WebSocketCloseCode: UInt16 {
    case done = 1000
    case serverGoing = 1001
    case notTheProtocol = 1002
    case notText = 1003
    case notUTF8 = 1007
    case byeWasSent = 1008
    case tooLarge = 1009
    case tryAgainLater = 1013

    /// The answer to a client's close frame: whether it is one (RFC 6455, sections 5.5.1 and 7.4).
    init(answering payload: ByteBuffer) {
        var payload = payload
        guard payload.readableBytes > 0 else {
            self = .done
            return
        }
        // One byte is no code, and zero is none either.
        switch payload.readInteger(as: UInt16.self) ?? 0 {
        case 1000...1003, 1007...1014, 3000...4999:
            self = String(validating: payload.readableBytesView, as: UTF8.self) == nil ? .notUTF8 : .done
        default: self = .notTheProtocol
        }
    }
}
