import Domain
import Foundation
import NIOCore
import Testing

@testable import WebService

@Suite("The edge of HTTP", .timeLimit(.minutes(1)))
struct EdgeTests {
    private static let upgrade = """
        GET /v1/live HTTP/1.1\r\nHost: asm.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
        """

    private static func hello(_ connection: RawConnection) async throws -> String? {
        try await connection.send(text: #"{"kind":"hello","token":"\#(aliceToken)"}"#)
        return try await connection.frame().kind
    }

    @Test(
        "a connection that has served requests becomes a live one, with what is sent right behind the upgrade"
    )
    func upgradesKeptConnections() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            for _ in 0..<3 { #expect(try await client.request("GET", "/healthz").status == 200) }
            let log = ["Authorization": "Bearer \(aliceToken)"]
            #expect(
                try await client.request("POST", "/v1/threads/77/messages", log, body: Array("{}".utf8))
                    .status == 400)

            let answer = try await client.upgrade()

            #expect(answer.status == 101)
            #expect(answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            #expect(try await Self.hello(client) == "welcome")
            let text = #"{"kind":"send","ref":1,"clientId":"\#(ClientID.random())","thread":"77","text":"x"}"#
            try await client.send(text: text)
            #expect(try await client.frame().kind == "ack")
            #expect(web.service.attachedSessions == 1)
            client.close()
            while web.service.attachedSessions > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test("an upgrade behind a request without its answer waits for it, and so does what follows the upgrade")
    func upgradesInOrder() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            let poll = """
                GET /v1/entries?after=\(MemoryService.epoch).0&wait=1 HTTP/1.1\r\nHost: a\r
                Authorization: Bearer \(aliceToken)\r\n\r\n
                """
            let ping: [UInt8] = [0x89, 0x80, 0, 0, 0, 0]
            try await client.send(
                Array((poll + "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + Self.upgrade).utf8) + ping)

            let first = try await client.reply()
            let second = try await client.reply()
            let third = try await client.reply()

            let statuses: [Int] = [first.status, second.status, third.status]
            #expect(statuses == [200, 200, 101])
            #expect(first.json["cursor"] != nil)
            #expect(second.json["status"] as? String == "alive")
            #expect(try await client.frame().opcode == 0xA)
            #expect(try await Self.hello(client) == "welcome")
            client.close()
        }
    }

    @Test("an upgrade that is refused behind other requests is answered after them, and the connection ends")
    func refusesUpgradesInOrder() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            let evil = Self.upgrade.replacing(
                "Host: asm.test", with: "Host: asm.test\r\nOrigin: https://evil.example")
            try await client.send(Array(("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + evil).utf8))

            let first = try await client.reply()
            let second = try await client.reply()

            let statuses: [Int] = [first.status, second.status]
            #expect(statuses == [200, 403])
            try await client.waitForEnd()
        }
    }

    @Test(
        "a live connection that was upgraded later is told to go and closed as any other when the server goes"
    )
    func drainsUpgraded() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            _ = try await client.request("GET", "/healthz")
            try await client.upgrade()
            #expect(try await Self.hello(client) == "welcome")

            await web.stop()

            #expect(try await client.frame().kind == "draining")
            #expect(try await client.frame().closeCode == 1001)
            try await client.waitForEnd()
        }
    }

    @Test("a request whose body is still on its way when the server goes is answered")
    func answersWhatHasBegun() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            let body = #"{"clientId":"\#(ClientID.random())","text":"x"}"#
            let head = """
                POST /v1/threads/77/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(aliceToken)\r
                Expect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n
                """
            try await client.send(Array(head.utf8))
            #expect(try await client.reply(hasBody: false).status == 100)

            await web.stop()
            // For a moment in which the connection hears of it.
            try await Task.sleep(for: .milliseconds(50))
            try await client.send(Array(body.utf8))

            #expect(try await client.reply().status == 201)
            try await client.waitForEnd()
        }
    }

    @Test("who waits for 100 Continue gets it before the body, in its turn, and 413 or 417 in its place")
    func answersExpectations() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            let body = #"{"clientId":"\#(ClientID.random())","text":"x"}"#
            let head = """
                POST /v1/threads/77/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(aliceToken)\r
                Expect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n
                """
            try await client.send(Array(("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + head).utf8))
            #expect(try await client.reply().status == 200)
            #expect(try await client.reply(hasBody: false).status == 100)
            try await client.send(Array(body.utf8))
            #expect(try await client.reply().status == 201)
            client.close()

            let large = try await web.connect()
            try await large.send(
                Array(head.replacing("Length: \(body.utf8.count)", with: "Length: 999999").utf8))
            #expect(try await large.reply().status == 413)
            try await large.waitForEnd()

            let other = try await web.connect()
            try await other.send(Array(head.replacing("100-continue", with: "rain").utf8))
            #expect(try await other.reply().status == 417)
            try await other.waitForEnd()
        }
    }

    @Test(
        "a request without Host, with two, or with one that is no name is answered 400; HTTP/1.0 needs none",
        arguments: [
            ("HTTP/1.1", "", 400), ("HTTP/1.1", "Host: a\r\nHost: a\r\n", 400),
            ("HTTP/1.1", "Host: a b\r\n", 400),
            ("HTTP/1.1", "Host: u@a\r\n", 400), ("HTTP/1.1", "Host: a/b\r\n", 400),
            ("HTTP/1.1", "Host: a:x\r\n", 400),
            ("HTTP/1.1", "Host: [::1]:8080\r\n", 200), ("HTTP/1.0", "", 200),
            ("HTTP/1.0", "Host: a\r\nHost: b\r\n", 400),
        ])
    func requiresHost(version: String, fields: String, status: Int) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.send(Array("GET /healthz \(version)\r\n\(fields)\r\n".utf8))
            #expect(try await client.reply().status == status)
            client.close()
        }
    }

    @Test(
        "the connection ends with the answer where a client says so, in whatever case, and with HTTP/1.0",
        arguments: [
            ("HTTP/1.1", "Connection: close"), ("HTTP/1.1", "Connection: Close"),
            ("HTTP/1.1", "connection: CLOSE"), ("HTTP/1.1", "Connection: TE, close"),
            ("HTTP/1.1", "Connection: TE\r\nConnection: Close"), ("HTTP/1.0", "Accept: */*"),
            ("HTTP/1.0", "Connection: keep-alive"),
        ])
    func endsConnection(version: String, field: String) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.send(Array("GET /healthz \(version)\r\nHost: a\r\n\(field)\r\n\r\n".utf8))
            #expect(try await client.reply().status == 200)
            try await client.waitForEnd()
        }
    }

    @Test("nothing is at a path in another than its one form")
    func answersOneForm() async throws {
        try await withWeb { web in
            let paths = [
                "//metrics", "/metrics/", "///metrics//", "/%6detrics", "/metrics%2f", "/./metrics",
                "/x/../metrics",
                "/metrics;a", "/metrics%00", "//v1//me", "/v1/me/", "/v1//me", "/app.css/", "//app.css",
                "/%61pp.css",
                "/v1/threads/77/", "/v1/threads//77", "/v1/threads/%37%37", "/v1/threads/+77",
                "/v1/threads/077",
                "/v1/threads/77/messages/01", "/v1/threads/77/messages/+1", "//", "/index.html/",
                "http://asm.test//metrics", "http://asm.test/metrics/", "/metrics#a",
            ]
            for path in paths {
                let status = try await web.request("GET", path).status
                #expect(status == 404, "\(path)")
            }
            for path in ["/metrics", "/v1/me", "/app.css", "/", "http://asm.test/healthz", "/healthz?a=//b/"]
            {
                let status = try await web.request("GET", path).status
                #expect(status == 200, "\(path)")
            }
        }
    }

    @Test(
        "a site's own pages are known by scheme, host and port, with the ports that schemes have by themselves"
    )
    func comparesOrigins() throws {
        func same(_ origin: String, _ host: String, _ isSecure: Bool) -> Bool {
            WebOrigin(origin) != nil && WebOrigin(origin) == WebOrigin(host: host, isSecure: isSecure)
        }
        #expect(same("https://example.org", "example.org:443", true))
        #expect(same("https://example.org:443", "EXAMPLE.org", true))
        #expect(same("http://example.org", "example.org:80", false))
        #expect(same("http://[::1]:8080", "[::1]:8080", false))
        #expect(!same("https://example.org", "example.org", false))
        #expect(!same("http://example.org", "example.org", true))
        #expect(!same("http://example.org:443", "example.org:443", true))
        #expect(!same("https://example.org", "example.org:8443", true))
        #expect(!same("https://example.org.evil.example", "example.org", true))
        for text in [
            "null", "", "https://", "https://a@b", "https://a/b", "ftp://a", "https://a:99999", "//a",
        ] {
            #expect(WebOrigin(text) == nil, "\(text)")
        }
    }

    @Test("that TLS ends before this server is believed of trusted proxies only")
    func believesTrustedProxies() async throws {
        let page = ["Origin": "https://asm.test", "X-Forwarded-Proto": "https"]
        for (proxies, status) in [("10.0.0.1", 403), ("127.0.0.1", 101)] {
            try await withWeb {
                $0.trustedProxies = (try? TrustedProxies(proxies)) ?? $0.trustedProxies
            } body: { web in
                let client = try await web.connect()
                #expect(try await client.upgrade(page).status == status)
                client.close()
            }
        }
    }

    @Test(
        "a query is read as forms write it, each field once, and what cannot be read is refused by name",
        arguments: [
            ("/v1/users?search=Bob+B", 200, ""), ("/v1/users?search=Bob%20B", 200, ""),
            ("/v1/users?search=a&search=b", 400, "bad-request"), ("/v1/users?search=%FF", 400, "not-utf8"),
            ("/v1/users?search=%zz", 400, "bad-request"), ("/v1/users?search=%4", 400, "bad-request"),
            ("/v1/users?logins=bob&search=a", 400, "bad-request"), ("/v1/users?limit=+5", 400, "bad-request"),
            ("/v1/users?limit=05", 400, "bad-request"), ("/v1/users?limit=5&limit=5", 400, "bad-request"),
            ("/v1/entries?after=1&after=2", 400, "bad-request"),
            ("/v1/entries?after=\(MemoryService.epoch).%2B5", 400, "bad-request"),
            ("/v1/entries?after=\(MemoryService.epoch).005", 400, "bad-request"),
            ("/v1/entries?wait=1&wait=2", 400, "bad-request"),
        ])
    func readsQueries(path: String, status: Int, code: String) async throws {
        try await withWeb { web in
            let reply = try await web.request("GET", path)
            #expect(reply.status == status)
            #expect(reply.errorCode ?? "" == code)
        }
    }

    @Test("a query's spaces, signs and letters of any script are what was meant")
    func decodesQueries() throws {
        let query = Query(target: "/v1/users?a=Mei+Chen&b=1%2B1&c=%C3%84gnes&%64=x&e&f=1=2&=g")
        #expect(try query.value(of: "a") == "Mei Chen")
        #expect(try query.value(of: "b") == "1+1")
        #expect(try query.value(of: "c") == "Ägnes")
        #expect(try query.value(of: "d") == "x")
        #expect(try query.value(of: "e") == "")
        #expect(try query.value(of: "f") == "1=2")
        #expect(try query.value(of: "g") == nil)
    }
}
