import Domain
import Foundation
import NIOCore
import Testing

@testable import WebService

@Suite("A live connection", .timeLimit(.minutes(1)))
struct LiveTests {
    private func send(_ ref: Int, _ text: String, thread: String = "77", id: ClientID = .random()) -> String {
        #"{"kind":"send","ref":\#(ref),"clientId":"\#(id)","thread":"\#(thread)","text":"\#(text)"}"#
    }

    @Test("hello is answered with welcome; what one sends is acknowledged, and the other gets it")
    func exchanges() async throws {
        try await withWeb { web in
            let (alice, bob) = (try await web.connect(), try await web.connect())
            let welcome = try await alice.goLive(as: aliceToken)
            try await bob.goLive(as: bobToken)

            try await alice.send(text: send(7, "Grüße \\ud83d\\ude00"))
            let ack = try await alice.frame()
            let entries = try await bob.frame()

            #expect(welcome.kind == "welcome")
            #expect(welcome.json["user"] as? String == "31")
            #expect(welcome.json["resync"] as? Bool == false)
            #expect(ack.kind == "ack")
            #expect(ack.json["ref"] as? Int == 7)
            #expect(ack.json["position"] as? Int == 1)
            #expect(entries.kind == "entries")
            #expect(entries.json["cursor"] as? String == web.service.cursor(at: 1))
            let entry = try #require((entries.json["entries"] as? [[String: Any]])?.first)
            #expect(entry["text"] as? String == "Grüße 😀")
            alice.close()
            bob.close()
        }
    }

    @Test("a void token gets bye and close 1008")
    func refusesTokens() async throws {
        try await withWeb { web in
            for token in ["AAAA", "not a token"] {
                let client = try await web.connect()
                let bye = try await client.goLive(as: token)
                let close = try await client.frame()

                #expect(bye.kind == "bye")
                #expect(bye.code == "unauthenticated")
                #expect(close.closeCode == 1008)
                client.close()
            }
        }
    }

    @Test("frames that cannot be taken are refused by name, with their ref, and the session goes on")
    func refusesFrames() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            let cases: [(String, String, String)] = [
                (#"{"kind":"dance","ref":1}"#, "unknown-frame", "dance"),
                (#"{"kind":"send","ref":1"#, "bad-frame", "JSON"),
                (#"{"kind":"send","ref":1,"thread":"77","text":"x"}"#, "bad-frame", "`clientId`"),
                (#"[1,2]"#, "bad-frame", "object"),
                (#"{"kind":"hello","ref":1,"token":"\#(aliceToken)"}"#, "out-of-order", "hello"),
                (send(1, ""), "empty", "text"),
                (send(1, String(repeating: "a", count: 65_537)), "too-large", "65536"),
                (send(1, "x", thread: "78"), "not-found", "thread"),
            ]
            for (text, code, says) in cases {
                try await client.send(text: text)
                let refused = try await client.frame()
                #expect(refused.kind == "refused", "\(text.prefix(60))")
                #expect(refused.code == code, "\(text.prefix(60))")
                #expect((refused.json["message"] as? String)?.contains(says) == true, "\(refused.json)")
            }
            try await client.send(text: #"{"kind":"ping","ref":"still here","unknown":{"a":[1]}}"#)
            #expect(try await client.frame().json["ref"] as? String == "still here")
            client.close()
        }
    }

    @Test("a frame before hello ends the connection with bye out-of-order")
    func wantsHelloFirst() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.upgrade()
            try await client.send(text: send(1, "x"))

            let bye = try await client.frame()

            #expect(bye.kind == "bye")
            #expect(bye.code == "out-of-order")
            #expect(try await client.frame().closeCode == 1008)
            client.close()
        }
    }

    @Test("a client that says nothing is sent away after the time for hello")
    func limitsHello() async throws {
        try await withWeb {
            $0.limits.helloTimeout = .milliseconds(100)
        } body: { web in
            let client = try await web.connect()
            try await client.upgrade()

            #expect(try await client.frame().kind == "bye")
            #expect(try await client.frame().closeCode == 1008)
            try await client.waitForEnd()
        }
    }

    enum Violation: CaseIterable {
        case binary, notUTF8, tooLarge, fragmentsTooLarge, unmasked, reservedBit, unknownOpcode,
            loneContinuation
        case longPing

        var closeCode: Int {
            switch self {
            case .binary: 1003
            case .notUTF8: 1007
            case .tooLarge, .fragmentsTooLarge: 1009
            case .unmasked, .reservedBit, .unknownOpcode, .loneContinuation, .longPing: 1002
            }
        }

        func commit(on client: RawConnection) async throws {
            let large = [UInt8](repeating: 0x20, count: 300_000)
            switch self {
            case .binary: try await client.send(opcode: 2, [1, 2, 3])
            case .notUTF8:
                try await client.send(
                    opcode: 1, Array(#"{"kind":""#.utf8) + [0xC3, 0x28] + Array("\"}".utf8))
            case .tooLarge: try await client.send(opcode: 1, large + large)
            case .fragmentsTooLarge:
                try await client.send(opcode: 1, large, isFinal: false)
                try await client.send(opcode: 0, large)
            case .unmasked: try await client.send(opcode: 1, Array("{}".utf8), isMasked: false)
            case .reservedBit: try await client.send(opcode: 1, Array("{}".utf8), reserved: 0x40)
            case .unknownOpcode: try await client.send(opcode: 5, [])
            case .loneContinuation: try await client.send(opcode: 0, [])
            case .longPing: try await client.send(opcode: 9, [UInt8](repeating: 1, count: 126))
            }
        }
    }

    @Test(
        "what breaks the WebSocket protocol closes the connection with its code",
        arguments: Violation.allCases)
    func closesViolations(violation: Violation) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)

            try await violation.commit(on: client)

            #expect(try await client.frame().closeCode == violation.closeCode)
            try await client.waitForEnd()
        }
    }

    @Test("fragments are joined, control frames between them answered, and a frame may come byte by byte")
    func joinsFragments() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            try await client.send(opcode: 1, Array(#"{"kind":"pi"#.utf8), isFinal: false)
            try await client.send(opcode: 9, Array("are you there".utf8))
            try await client.send(opcode: 0, Array("ng\"".utf8), isFinal: false)
            try await client.send(opcode: 0, Array(#","ref":3}"#.utf8))

            let control = try await client.frame()
            let pong = try await client.frame()

            #expect(control.opcode == 0xA)
            #expect(control.payload == Array("are you there".utf8))
            #expect(pong.kind == "pong")
            for byte in [0x81, 0x8F, 0, 0, 0, 0] as [UInt8] + Array(#"{"kind":"ping"}"#.utf8) {
                try await client.send([byte])
            }
            #expect(try await client.frame().kind == "pong")
            client.close()
        }
    }

    @Test("a close frame is answered, and the session leaves its server")
    func answersClose() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            #expect(web.service.attachedSessions == 1)

            try await client.send(opcode: 8, [0x03, 0xE8])

            #expect(try await client.frame().closeCode == 1000)
            try await client.waitForEnd()
            while web.service.attachedSessions > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test("a page of another site may not connect; this site's, an allowed one's and a program may")
    func checksOrigin() async throws {
        try await withWeb {
            $0.allowedOrigins = ["https://portal.example"]
        } body: { web in
            let cases: [([String: String], Int)] = [
                ([:], 101), (["Origin": "http://asm.test"], 101), (["Origin": "http://ASM.test:80"], 101),
                (["Origin": "https://asm.test"], 403), (["Origin": "https://portal.example:443"], 101),
                (["Origin": "https://portal.example"], 101), (["Origin": "https://evil.example"], 403),
                (["Origin": "null"], 403), (["Origin": "https://asm.test.evil.example"], 403),
            ]
            for (fields, status) in cases {
                let client = try await web.connect()
                #expect(try await client.upgrade(fields).status == status, "\(fields)")
                client.close()
            }
            let plain = try await web.request("GET", "/v1/live")
            #expect(plain.status == 400)
        }
    }

    @Test("The offer of another protocol is ignored, and the request answered")
    func ignoresOtherProtocols() async throws {
        try await withWeb { web in
            let offer = [
                "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk",
            ]
            let answer = try await web.request("GET", "/healthz", offer)
            #expect(answer.status == 200)
        }
    }

    @Test(
        "2,000 messages sent without waiting are all acknowledged, in order: beyond 256 the server stops reading"
    )
    func holdsManySends() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            for ref in 1...2_000 { try await client.send(text: send(ref, "message \(ref)")) }

            for ref in 1...2_000 {
                let ack = try await client.frame()
                #expect(ack.kind == "ack")
                #expect(ack.json["ref"] as? Int == ref)
            }
            client.close()
        }
    }

    @Test("entries in a row come in one frame, receipts between them in their own, in the order of the log")
    func keepsOrder() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            let message = EntryContent.message(text: Sealed("hello"), priority: .normal)
            let receipt = Receipt(user: .init(rawValue: 32), delivered: 2, read: 1)
            let long = EntryContent.message(
                text: Sealed(String(repeating: "é", count: 20_000)), priority: .urgent)

            web.service.publish([
                message, message, .receipts([receipt]), long, message, .control(.sessionRevoked(session: 4)),
            ])

            let (first, second, third) = (
                try await client.frame(), try await client.frame(), try await client.frame()
            )
            #expect(first.json["cursor"] as? String == web.service.cursor(at: 2))
            #expect((first.json["entries"] as? [Any])?.count == 2)
            #expect(second.kind == "receipts")
            #expect(second.json["cursor"] as? String == web.service.cursor(at: 3))
            let entries = try #require(third.json["entries"] as? [[String: Any]])
            #expect(entries.map { $0["position"] as? Int } == [4, 5])
            #expect((entries[0]["text"] as? String)?.count == 20_000)
            client.close()
        }
    }

    @Test(
        "a slow reader misses deliveries, then gets resync, and is live again from there; others miss nothing"
    )
    func resyncsSlowReaders() async throws {
        try await withWeb {
            $0.limits.outgoingBytes = 64 * 1024
        } body: { web in
            let (slow, fast) = (try await web.connect(receiveBufferBytes: 4_096), try await web.connect())
            try await slow.goLive(as: aliceToken)
            try await fast.goLive(as: bobToken)
            try await slow.setReading(false)
            let text = EntryContent.message(
                text: Sealed(String(repeating: "a", count: 60_000)), priority: .normal)
            let count = 200

            for position in 1...count {
                web.service.publish([text])
                let frame = try await fast.frame()
                #expect(frame.json["cursor"] as? String == web.service.cursor(at: position))
            }
            try await slow.setReading(true)
            var last = try await slow.frame()
            var seen = 0
            while last.kind == "entries" {
                seen += 1
                last = try await slow.frame()
            }

            #expect(seen < count)
            #expect(last.kind == "resync")
            // From where the resync says, nothing is missing: what its event loop had not come to yet follows.
            let start = try #require(
                (last.json["cursor"] as? String)?.split(separator: ".").dropFirst().first.flatMap { Int($0) })
            #expect(last.json["cursor"] as? String == web.service.cursor(at: start))
            #expect(start > seen)
            web.service.publish([text])
            for position in start + 1...count + 1 {
                #expect(
                    try await slow.frame().json["cursor"] as? String == web.service.cursor(at: position))
            }
            slow.close()
            fast.close()
        }
    }

    @Test("a reader that takes nothing for the time to drain is closed")
    func closesStuckReaders() async throws {
        try await withWeb {
            $0.limits.outgoingBytes = 64 * 1024
            $0.limits.drainTimeout = .milliseconds(100)
        } body: { web in
            let client = try await web.connect(receiveBufferBytes: 4_096)
            try await client.goLive(as: aliceToken)
            try await client.setReading(false)
            let text = EntryContent.message(
                text: Sealed(String(repeating: "a", count: 60_000)), priority: .normal)
            for _ in 1...200 { web.service.publish([text]) }

            while web.service.attachedSessions > 0 { try await Task.sleep(for: .milliseconds(1)) }

            try await client.setReading(true)
            try await client.waitForEnd()
        }
    }

    @Test("a server that goes asks its live clients to reconnect at a random moment, then closes with 1001")
    func drains() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)

            await web.stop()
            let draining = try await client.frame()
            let close = try await client.frame()

            #expect(draining.kind == "draining")
            let after = try #require(draining.json["reconnectAfterMs"] as? Int)
            #expect((0...3_000).contains(after))
            #expect(close.closeCode == 1001)
            try await client.waitForEnd()
        }
    }

    @Test("what one sends right behind hello, before welcome, is taken in order")
    func takesEagerClients() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.upgrade()
            try await client.send(text: #"{"kind":"hello","token":"\#(aliceToken)"}"#)
            try await client.send(text: send(1, "first"))

            #expect(try await client.frame().kind == "welcome")
            #expect(try await client.frame().json["ref"] as? Int == 1)
            client.close()
        }
    }
}
