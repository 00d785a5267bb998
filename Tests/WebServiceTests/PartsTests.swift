import NIOCore
import Testing

@testable import WebService

@Suite("Parts of the Web Service")
struct PartsTests {
    @Test("a token's text reads back to its bytes, whatever their number", arguments: 1...40)
    func tokensReadBack(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 83 &+ 251) }

        #expect(SessionToken(text: SessionToken(bytes: bytes).text)?.bytes == bytes)
    }

    @Test(
        "what is no base64url is no token",
        arguments: ["", "A", "AA=", "AAA+", "AB", String(repeating: "A", count: 132)])
    func refusesTokens(text: String) {
        #expect(SessionToken(text: text) == nil)
    }

    @Test("unmasking is the same for every length, aligned to words or not", arguments: 0...40)
    func unmasks(count: Int) {
        let plain = (0..<count).map { UInt8($0) }
        let mask: [UInt8] = [0x11, 0x82, 0x33, 0xF4]
        let masked = ByteBuffer(bytes: plain.enumerated().map { $1 ^ mask[$0 & 3] })
        let key = ByteBuffer(bytes: mask).getInteger(at: 0, endianness: .host, as: UInt32.self) ?? 0
        var result = ByteBuffer()

        result.writeUnmasked(masked.readableBytesView, mask: key)

        #expect(Array(result.readableBytesView) == plain)
    }

    @Test("a header that is cut short is waited for, at every byte", arguments: [5, 126, 70_000])
    func waitsForHeaders(length: Int) throws {
        var whole = ByteBuffer()
        WebSocketWriter.writeHeader(.text, payloadBytes: length, into: &whole)
        whole.setInteger(whole.getInteger(at: 1, as: UInt8.self).map { $0 | 0x80 } ?? 0, at: 1)
        whole.writeInteger(0x0102_0304 as UInt32)

        for count in 0..<whole.readableBytes {
            let part = ByteBuffer(bytes: whole.readableBytesView.prefix(count))
            #expect(try WebSocketHeader.peek(at: part, payloadLimit: 1 << 20) == nil)
        }
        let header = try #require(try WebSocketHeader.peek(at: whole, payloadLimit: 1 << 20))
        #expect(header.payloadBytes == length)
        #expect(header.headerBytes == whole.readableBytes)
    }

    @Test("a length that is not written in the shortest way is refused")
    func refusesLongLengths() {
        let bytes = ByteBuffer(bytes: [0x81, 0xFE, 0x00, 0x05, 0, 0, 0, 0])

        #expect(throws: WebSocketHeader.Fault.badLength) {
            try WebSocketHeader.peek(at: bytes, payloadLimit: 100)
        }
    }
}
