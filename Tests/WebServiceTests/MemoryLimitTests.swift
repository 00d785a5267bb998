import Domain
import NIOCore
import Testing

@testable import WebService

@Suite("What a client may make a Web Service keep", .timeLimit(.minutes(1)))
struct MemoryLimitTests {
    private static func head(_ path: String, token: String?, length: Int) -> [UInt8] {
        let field = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        return Array("POST \(path) HTTP/1.1\r\nHost: a\r\n\(field)Content-Length: \(length)\r\n\r\n".utf8)
    }

    @Test("without a token, and for logging in, a body has 8 KiB at most, also in chunks")
    func limitsStrangers() async throws {
        try await withWeb { web in
            let cases: [(String, String?, Int, Int)] = [
                ("/v1/sessions", nil, 8_193, 413), ("/v1/sessions", aliceToken, 8_193, 413),
                ("/v1/sessions", nil, 8_192, 400), ("/v1/threads/77/messages", nil, 8_193, 413),
                ("/v1/threads/77/messages", "%%%", 8_193, 413), ("/v1/threads/77/messages", nil, 8_192, 401),
                ("/v1/threads/77/messages", aliceToken, 401_408, 400),
                ("/v1/threads/77/messages", aliceToken, 401_409, 413),
                ("/v1/threads", aliceToken, 131_073, 413),
            ]
            for (path, token, length, status) in cases {
                let client = try await web.connect()
                try await client.send(Self.head(path, token: token, length: length))
                if status != 413 { try await client.send([UInt8](repeating: 0x20, count: length)) }
                let answered = try await client.reply().status
                #expect(answered == status, "\(path) \(length)")
                client.close()
            }
            let chunked = try await web.connect()
            let start = "POST /v1/sessions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2001\r\n"
            try await chunked.send(Array(start.utf8) + [UInt8](repeating: 0x20, count: 0x2001))
            #expect(try await chunked.reply().status == 413)
            chunked.close()
        }
    }

    @Test(
        "unfinished bodies of one address are refused beyond its part, small ones later than large ones, and given back"
    )
    func limitsBodies() async throws {
        try await withWeb {
            $0.limits.heldBytesPerClient = 400_000
            $0.limits.smallBytes = 4_096
        } body: { web in
            func hold(_ bytes: Int) async throws -> RawConnection {
                let client = try await web.connect()
                try await client.send(
                    Self.head("/v1/threads/77/messages", token: aliceToken, length: bytes + 1)
                        + [UInt8](repeating: 0x20, count: bytes))
                return client
            }
            let first = [try await hold(140_000), try await hold(140_000)]
            while web.web.heldBytes < 280_000 { try await Task.sleep(for: .milliseconds(1)) }
            let large = try await hold(100_000)
            #expect(try await large.reply().status == 429)
            let small = try await web.request(
                "POST", "/v1/threads/77/messages", json: #"{"clientId":"\#(ClientID.random())","text":"x"}"#)
            #expect(small.status == 201)
            for client in first { client.close() }
            while web.web.heldBytes > 0 { try await Task.sleep(for: .milliseconds(1)) }
            let again = try await hold(140_000)
            try await again.send([0x20])
            #expect(try await again.reply().status == 400)
            again.close()
            large.close()
        }
    }

    @Test("unfinished heads count, and all together are refused with 503")
    func limitsHeads() async throws {
        try await withWeb {
            $0.limits.heldBytes = 40_000
            $0.limits.heldBytesPerClient = 1 << 20
        } body: { web in
            var held: [RawConnection] = []
            for count in 1...4 {
                let client = try await web.connect()
                try await client.send(
                    Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 9_000))
                held.append(client)
                while web.web.heldBytes < 9_000 * count { try await Task.sleep(for: .milliseconds(1)) }
            }
            let last = try await web.connect()
            try await last.send(
                Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 9_000))
            let reply = try await last.reply()
            #expect(reply.status == 503)
            #expect(reply.fields["retry-after"] == "1")
            for client in held + [last] { client.close() }
            while web.web.heldBytes > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test("unfinished live frames count, and who goes beyond is closed with 1013; hello has 8 KiB at most")
    func limitsFrames() async throws {
        try await withWeb {
            // In all: who has logged in is no longer held up by strangers of the same address.
            $0.limits.heldBytes = 300_000
            $0.limits.heldBytesPerClient = 100_000
        } body: { web in
            let (one, two) = (try await web.connect(), try await web.connect())
            try await one.goLive(as: aliceToken)
            try await two.goLive(as: bobToken)
            func begin(_ client: RawConnection) async throws {
                let header: [UInt8] = [0x81, 0xFF, 0, 0, 0, 0, 0, 5, 0, 0, 1, 2, 3, 4]
                try await client.send(header + [UInt8](repeating: 0x20, count: 200_000))
            }
            try await begin(one)
            while web.web.heldBytes < 200_000 { try await Task.sleep(for: .milliseconds(1)) }
            try await begin(two)
            #expect(try await two.frame().closeCode == 1013)
            one.close()
            two.close()
            while web.web.heldBytes > 0 { try await Task.sleep(for: .milliseconds(1)) }

            let stranger = try await web.connect()
            try await stranger.upgrade()
            try await stranger.send(opcode: 1, [UInt8](repeating: 0x20, count: 8_193))
            #expect(try await stranger.frame().closeCode == 1009)
        }
    }

    @Test("connections of one address are counted until they have logged in live; a trusted proxy's are not")
    func limitsConnections() async throws {
        try await withWeb {
            $0.limits.connectionsPerClient = 3
        } body: { web in
            var open: [RawConnection] = []
            for _ in 0..<5 {
                let client = try await web.connect()
                #expect(try await client.goLive(as: aliceToken).kind == "welcome")
                open.append(client)
            }
            for _ in 0..<3 {
                let client = try await web.connect()
                #expect(try await client.request("GET", "/healthz").status == 200)
                open.append(client)
            }
            let fourth = try await web.connect()
            try await fourth.waitForEnd()
            for client in open { client.close() }
        }
        try await withWeb {
            $0.limits.connectionsPerClient = 3
            $0.trustedProxies = (try? TrustedProxies("127.0.0.1")) ?? $0.trustedProxies
        } body: { web in
            var open: [RawConnection] = []
            for _ in 0..<5 {
                let client = try await web.connect()
                #expect(try await client.request("GET", "/healthz").status == 200)
                open.append(client)
            }
            for client in open { client.close() }
        }
    }

    @Test("a client is an address, or a network of 64 bits of IPv6")
    func tellsClients() {
        #expect("10.0.0.1".clientOfAddress == "10.0.0.1")
        #expect("::ffff:10.0.0.1".clientOfAddress == "10.0.0.1")
        #expect("2001:db8:1:2:3::4".clientOfAddress == "2001:db8:1:2:ffff::1".clientOfAddress)
        #expect("2001:db8:1:2::4".clientOfAddress != "2001:db8:1:3::4".clientOfAddress)
        #expect("lb1".clientOfAddress == nil)
    }
}
