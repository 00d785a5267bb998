import Domain
import Foundation
import NIOCore
import Testing

@testable import WebService

@Suite("What a live frame may be", .timeLimit(.minutes(1)))
struct LiveFrameLimitTests {
    private func send(_ ref: Int, _ text: String, thread: String = "77", id: ClientID = .random()) -> String {
        #"{"kind":"send","ref":\#(ref),"clientId":"\#(id)","thread":"\#(thread)","text":"\#(text)"}"#
    }

    @Test("a text within its limit is taken however it is escaped, in one frame or in fragments")
    func takesEscapedTexts() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            let escapes = [
                ("\\u0001", 65_536), ("\\u0416", 32_768), ("\\\"", 65_536), ("\\ud83d\\ude00", 16_384),
            ]
            for (ref, (escape, count)) in escapes.enumerated() {
                let frame = send(ref, String(repeating: escape, count: count))
                if ref == 0 {
                    let bytes = Array(frame.utf8)
                    try await client.send(opcode: 1, Array(bytes.prefix(200_000)), isFinal: false)
                    try await client.send(opcode: 0, Array(bytes.dropFirst(200_000)))
                } else {
                    try await client.send(text: frame)
                }
                let ack = try await client.frame()
                #expect(ack.kind == "ack", "\(escape)")
                #expect(ack.json["ref"] as? Int == ref)
            }
            let tooLong = send(9, String(repeating: "\\u0001", count: 65_537))
            try await client.send(text: tooLong)
            #expect(try await client.frame().code == "too-large")
            client.close()
        }
    }

    @Test("the message of a frame that is too large is refused by its ref, and the session goes on")
    func refusesLargeFrames() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            let text = String(repeating: "a", count: 2_000_000)
            try await client.send(text: send(1, text))
            let bytes = Array(send(2, text).utf8)
            try await client.send(opcode: 1, Array(bytes.prefix(300_000)), isFinal: false)
            try await client.send(opcode: 0, Array(bytes.dropFirst(300_000).prefix(600_000)), isFinal: false)
            try await client.send(opcode: 0, Array(bytes.dropFirst(900_000)))
            try await client.send(opcode: 1, bytes, isFinal: false)
            try await client.send(opcode: 0, bytes)
            try await client.send(text: send(3, "x"))

            for ref in [1, 2, 2] {
                let refused = try await client.frame()
                #expect(refused.code == "too-large")
                #expect(refused.json["ref"] as? Int == ref)
            }
            let ack = try await client.frame()
            #expect(ack.json["ref"] as? Int == 3)
            #expect(ack.kind == "ack")
            client.close()
        }
    }

    @Test(
        "a cursor in hello that is none is answered bye with bad-request",
        arguments: ["", "x", "..5", ".+5", ".005"])
    func refusesCursors(text: String) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.upgrade()
            let cursor = text.hasPrefix(".") ? "\(MemoryService.epoch)\(text)" : text
            try await client.send(text: #"{"kind":"hello","token":"\#(aliceToken)","cursor":"\#(cursor)"}"#)
            let bye = try await client.frame()
            #expect(bye.kind == "bye")
            #expect(bye.code == "bad-request")
            #expect(try await client.frame().closeCode == 1008)
            client.close()
        }
    }

    @Test("a thread's id has one form", arguments: ["+77", "077", " 77", "77.0"])
    func refusesOtherIDs(id: String) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            try await client.send(text: send(1, "x", thread: id))
            #expect(try await client.frame().code == "bad-frame")
            client.close()
        }
    }

    private static let closeFrames: [([UInt8], Int)] = [
        ([], 1000), ([0x03, 0xE8], 1000), ([0x0F, 0xA0, 0x61], 1000), ([0x03], 1002), ([0x03, 0xED], 1002),
        ([0x03, 0xE8, 0xFF], 1007),
    ]

    @Test(
        "a close frame is answered with its code, one that is none with 1002",
        arguments: Self.closeFrames)
    func answersCloseCodes(payload: [UInt8], code: Int) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            try await client.send(opcode: 8, payload)
            #expect(try await client.frame().closeCode == code)
            try await client.waitForEnd()
        }
    }
}
