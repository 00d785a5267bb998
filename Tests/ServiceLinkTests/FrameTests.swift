import Domain
import NIOCore
import SwiftProtobuf
import Testing

@testable import ServiceLink

@Suite("Frames")
struct FrameTests {
    static let samples: [LinkFrame] = [
        .with { $0.hello = LinkHello.with { $0.version = 1 } },
        .with { frame in
            frame.request = LinkRequest.with {
                $0.id = 300
                $0.session = 5
                $0.sendMessage = LinkSendMessage.with { $0.text = String(repeating: "täxt ", count: 60) }
            }
        },
        .with { $0.response = LinkResponse(id: 300, .done(LinkDone())) },
        .with { frame in
            frame.delivery = LinkDelivery.with { delivery in
                delivery.items = (Int64(1)...3).map { number in
                    .with {
                        $0.entry = LinkEntry.with { $0.position = number }
                        $0.sessions = [1, 2]
                    }
                }
            }
        },
        .with { $0.ping = LinkPing.with { $0.nonce = 9 } },
        .with { $0.draining = LinkDraining() },
    ]

    static func bytes(of frames: [LinkFrame]) throws -> [UInt8] {
        var buffer = ByteBuffer()
        for frame in frames {
            switch frame.kind {
            case .request(let request): try EncodedFrame(.request, request).write(to: &buffer)
            case .response(let response): try EncodedFrame(.response, response).write(to: &buffer)
            case .delivery(let delivery): try EncodedFrame(.delivery, delivery).write(to: &buffer)
            default: try EncodedFrame(frame).write(to: &buffer)
            }
        }
        return Array(buffer.readableBytesView)
    }

    @Test("come out as they went in, however the bytes are cut", arguments: [1, 2, 3, 7, 64, 100_000])
    func survivesCuts(size: Int) throws {
        let bytes = try Self.bytes(of: Self.samples)
        var decoder = FrameDecoder(limitBytes: 1 << 20)
        var kinds: [LinkFrame.OneOf_Kind] = []

        for start in stride(from: 0, to: bytes.count, by: size) {
            decoder.append(ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)]))
            while let kind = try decoder.next() { kinds.append(kind) }
        }

        #expect(kinds == Self.samples.compactMap(\.kind))
    }

    @Test("wrapped by hand are the bytes that the contract gives")
    func wrapsByContract() throws {
        let whole = try Self.samples.flatMap { frame in
            var buffer = ByteBuffer()
            try EncodedFrame(frame).write(to: &buffer)
            return Array(buffer.readableBytesView)
        }

        let bytes = try Self.bytes(of: Self.samples)
        #expect(bytes == whole)
    }

    @Test("of a newer version's kind are passed over")
    func passesOverUnknownKinds() throws {
        var decoder = FrameDecoder(limitBytes: 1_000)
        // Field 99, a string of one byte.
        decoder.append(ByteBuffer(bytes: [0, 0, 0, 4, 0x9A, 0x06, 1, 65]))
        decoder.append(ByteBuffer(bytes: try Self.bytes(of: [Self.samples[4]])))

        let first = try decoder.next()
        let second = try decoder.next()
        #expect(first == Self.samples[4].kind && second == nil)
    }

    @Test("longer than the limit are refused before they are read")
    func refusesOversize() {
        var decoder = FrameDecoder(limitBytes: 1_000)
        decoder.append(ByteBuffer(bytes: [0, 0, 0x03, 0xE9]))

        #expect(throws: FrameError.tooLong(bytes: 1_001, limit: 1_000)) { try decoder.next() }
    }

    @Test("mutated at random end in frames or in an error")
    func survivesMutations() throws {
        var random = SeededRandom(seed: 20_260_101)
        let good = try Self.bytes(of: Self.samples)
        var refused = 0

        for _ in 0..<3_000 {
            var bytes = good
            for _ in 0...Int.random(in: 0...8, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
            }
            refused += Self.isRefused(bytes, cutAt: Int.random(in: 0...bytes.count, using: &random)) ? 1 : 0
        }
        for _ in 0..<3_000 {
            let length = UInt8.random(in: 0...120, using: &random)
            let noise = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            refused += Self.isRefused([0, 0, 0, length] + noise, cutAt: 2) ? 1 : 0
        }

        #expect(refused > 1_000)
    }

    private static func isRefused(_ bytes: [UInt8], cutAt cut: Int) -> Bool {
        var decoder = FrameDecoder(limitBytes: 1 << 16)
        do {
            for part in [bytes[..<cut], bytes[cut...]] {
                decoder.append(ByteBuffer(bytes: part))
                while try decoder.next() != nil {}
            }
            return false
        } catch {
            return true
        }
    }
}

/// Random numbers that are the same on every run.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
