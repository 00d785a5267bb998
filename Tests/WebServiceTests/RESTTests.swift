import Domain
import Foundation
import NIOCore
import Testing

@testable import WebService

@Suite("REST", .timeLimit(.minutes(1)))
struct RESTTests {
    private static let messages = "/v1/threads/77/messages"
    private static let id = "01920000-0000-7000-8000-00000000000a"

    @Test("a message is accepted with its place in the log, and its repeat gets the same place")
    func sends() async throws {
        try await withWeb { web in
            let body = #"{"clientId":"\#(Self.id)","text":"Grüße 👩‍⚕️","priority":"urgent","colour":"unknown"}"#

            let first = try await web.request("POST", Self.messages, json: body)
            let again = try await web.request("POST", Self.messages, json: body)

            #expect(first.status == 201)
            #expect(first.json["position"] as? Int == 1)
            #expect(first.json["replayed"] as? Bool == false)
            #expect(again.json["position"] as? Int == 1)
            #expect(again.json["replayed"] as? Bool == true)
        }
    }

    @Test(
        "a bad body is refused with the code and the name of what is wrong",
        arguments: [
            (#"{"clientId":"\#(id)","text":""}"#, 400, "empty", "text"),
            (#"{"clientId":"\#(id)"}"#, 400, "bad-request", "`text` is missing"),
            (#"{"clientId":"\#(id)","text":7}"#, 400, "bad-request", "`text` must be a string"),
            (#"{"text":"x"}"#, 400, "bad-request", "`clientId`"),
            (#"{"clientId":"no-uuid","text":"x"}"#, 400, "bad-request", "`clientId`"),
            (#"{"clientId":"\#(id)","text":"x","priority":"high"}"#, 400, "bad-request", "`priority`"),
            (#"{"clientId":"\#(id)","text":"#, 400, "bad-request", "no valid JSON"),
            (#"["x"]"#, 400, "bad-request", "The body"),
        ])
    func refusesBodies(body: String, status: Int, code: String, text: String) async throws {
        try await withWeb { web in
            let reply = try await web.request("POST", Self.messages, json: body)

            #expect(reply.status == status)
            #expect(reply.errorCode == code)
            #expect(reply.errorMessage.contains(text), "\(reply.errorMessage)")
        }
    }

    @Test("a text of 65,536 bytes is taken, one more is too large, and a larger body is not even read")
    func limitsSize() async throws {
        try await withWeb { web in
            func send(_ count: Int) async throws -> RawConnection.Reply {
                let text = String(repeating: "a", count: count)
                return try await web.request(
                    "POST", Self.messages, json: #"{"clientId":"\#(ClientID.random())","text":"\#(text)"}"#)
            }
            #expect(try await send(65_536).status == 201)
            let tooLong = try await send(65_537)
            #expect(tooLong.status == 413)
            #expect(tooLong.errorCode == "too-large")
            let tooLarge = try await send(500_000)
            #expect(tooLarge.status == 413)
            #expect(tooLarge.fields["connection"] == "close")
        }
    }

    @Test("a body that is not UTF-8 is refused")
    func refusesOtherEncodings() async throws {
        try await withWeb { web in
            let connection = try await web.connect()
            let body = Array(#"{"clientId":"\#(Self.id)","text":""#.utf8) + [0xFF, 0xFE] + Array("\"}".utf8)

            let reply = try await connection.request(
                "POST", Self.messages, ["Authorization": "Bearer \(aliceToken)"], body: body)

            #expect(reply.status == 400)
            #expect(reply.errorCode == "not-utf8")
            connection.close()
        }
    }

    @Test("the id may come in the Idempotency-Key field, but not two different ones")
    func readsIdempotencyKey() async throws {
        try await withWeb { web in
            let key = ["Idempotency-Key": Self.id]

            let field = try await web.request("POST", Self.messages, key, json: #"{"text":"x"}"#)
            let both = try await web.request(
                "POST", Self.messages, key, json: #"{"clientId":"\#(Self.id.uppercased())","text":"x"}"#)
            let different = try await web.request(
                "POST", Self.messages, key, json: #"{"clientId":"\#(ClientID.random())","text":"x"}"#)

            #expect(field.status == 201)
            #expect(both.json["replayed"] as? Bool == true)
            #expect(different.status == 400)
            #expect(different.errorCode == "bad-request")
        }
    }

    @Test("an id reused with another text is refused with 422, a foreign thread with 404")
    func passesRefusalsOn() async throws {
        try await withWeb { web in
            _ = try await web.request(
                "POST", Self.messages, json: #"{"clientId":"\#(Self.id)","text":"one"}"#)

            let reused = try await web.request(
                "POST", Self.messages, json: #"{"clientId":"\#(Self.id)","text":"two"}"#)
            let foreign = try await web.request("GET", "/v1/threads/78")
            let noID = try await web.request("GET", "/v1/threads/abc")

            #expect(reused.status == 422)
            #expect(reused.errorCode == "key-reused")
            #expect(foreign.status == 404)
            #expect(noID.status == 404)
        }
    }

    @Test("without a valid token nothing is answered", arguments: [nil, "", "nonsense!", "AAAA"])
    func requiresToken(token: String?) async throws {
        try await withWeb { web in
            let reply = try await web.request("GET", "/v1/threads", token: token)

            #expect(reply.status == 401)
            #expect(reply.errorCode == "unauthenticated")
        }
    }

    @Test("an unknown address is 404 and a wrong method 405 with what is allowed, both as JSON")
    func answersUnknownRoutes() async throws {
        try await withWeb { web in
            let unknown = try await web.request("GET", "/v1/nothing")
            let wrong = try await web.request("PUT", "/v1/threads")

            #expect(unknown.status == 404)
            #expect(unknown.errorCode == "not-found")
            #expect(wrong.status == 405)
            #expect(wrong.errorCode == "method-not-allowed")
            #expect(wrong.fields["allow"] == "POST, GET, HEAD")
        }
    }

    @Test("ids are strings, times are milliseconds, and the cursor is opaque text")
    func writesValues() async throws {
        try await withWeb { web in
            _ = try await web.request("POST", Self.messages, json: #"{"clientId":"\#(Self.id)","text":"x"}"#)

            let history = try await web.request("GET", "/v1/threads/77/entries")
            let inbox = try await web.request("GET", "/v1/threads?limit=200")

            let entry = try #require((history.json["entries"] as? [[String: Any]])?.first)
            #expect(entry["thread"] as? String == "77")
            #expect(entry["author"] as? String == "31")
            #expect(entry["at"] as? Int == 1_795_400_000_123)
            #expect(entry["clientId"] as? String == Self.id)
            #expect(inbox.json["cursor"] as? String == "\(MemoryService.epoch).1")
        }
    }

    @Test("a number of the query beyond its range is refused by name")
    func checksQueries() async throws {
        try await withWeb { web in
            for path in ["/v1/threads?limit=201", "/v1/threads/77/entries?before=x", "/v1/entries?wait=31"] {
                let reply = try await web.request("GET", path)
                #expect(reply.status == 400, "\(path)")
            }
            let both = try await web.request("GET", "/v1/threads/77/entries?before=4&after=2")
            #expect(both.status == 400)
        }
    }

    @Test("a long poll returns when something comes, and only then")
    func longPolls() async throws {
        try await withWeb { web in
            let start = try await web.request("GET", "/v1/entries")
            let cursor = try #require(start.json["cursor"] as? String)
            async let poll = web.request("GET", "/v1/entries?after=\(cursor)&wait=30")
            while web.service.attachedSessions < 1 { try await Task.sleep(for: .milliseconds(1)) }
            _ = try await web.request("POST", Self.messages, json: #"{"clientId":"\#(Self.id)","text":"x"}"#)

            let page = try await poll

            #expect((page.json["entries"] as? [[String: Any]])?.first?["text"] as? String == "x")
            #expect(page.json["cursor"] as? String == "\(MemoryService.epoch).1")
        }
    }

    @Test("a long poll that nothing concerns looks again as the log grows, and answers where it is then")
    func quietLongPolls() async throws {
        try await withWeb { web in
            let start = try await web.request("GET", "/v1/entries")
            let cursor = try #require(start.json["cursor"] as? String)
            async let poll = web.request("GET", "/v1/entries?after=\(cursor)&wait=2")
            while web.service.attachedSessions < 1 { try await Task.sleep(for: .milliseconds(1)) }
            let asked = web.service.logReads
            web.service.say(followed: 3_999)
            web.service.say(followed: 4_001)
            while web.service.logReads == asked { try await Task.sleep(for: .milliseconds(1)) }
            web.service.say(followed: 4_002)

            let page = try await poll

            #expect((page.json["entries"] as? [Any])?.isEmpty == true)
            #expect(page.json["otherLog"] == nil)
            #expect(page.json["cursor"] as? String == "\(MemoryService.epoch).4002")
            // Once for being told, and once at the end.
            #expect(web.service.logReads == asked + 2)
        }
    }

    @Test("log-ins beyond the limit are sent away with Retry-After, and the others are answered")
    func limitsLogIns() async throws {
        try await withWeb {
            $0.limits.logIns = 2
        } body: { web in
            web.service.holdLogIns()
            let body = #"{"login":"alice","password":"right"}"#
            async let first = web.request("POST", "/v1/sessions", token: nil, json: body)
            async let second = web.request("POST", "/v1/sessions", token: nil, json: body)
            while web.service.heldLogIns < 2 { try await Task.sleep(for: .milliseconds(1)) }

            let third = try await web.request("POST", "/v1/sessions", token: nil, json: body)
            web.service.release()

            #expect(third.status == 429)
            #expect(third.errorCode == "too-many-requests")
            #expect(third.fields["retry-after"].flatMap { Int($0) }.map { (1...3).contains($0) } == true)
            #expect(try await first.status == 201)
            #expect(try await second.json["token"] as? String == aliceToken)
        }
    }

    @Test("the client's address is the peer's, unless a trusted proxy says another")
    func readsAddresses() async throws {
        let forwarded = ["X-Forwarded-For": "6.6.6.6, 203.0.113.9"]
        let body = #"{"login":"alice","password":"wrong"}"#
        try await withWeb { web in
            let reply = try await web.request("POST", "/v1/sessions", token: nil, forwarded, json: body)
            #expect(reply.status == 401)
            #expect(reply.errorCode == "bad-credentials")
            #expect(web.service.logInAddresses == ["127.0.0.1"])
        }
        try await withWeb {
            $0.trustedProxies = (try? TrustedProxies("10.9.9.9, 127.0.0.1")) ?? $0.trustedProxies
        } body: { web in
            _ = try await web.request("POST", "/v1/sessions", token: nil, forwarded, json: body)
            #expect(web.service.logInAddresses == ["203.0.113.9"])
        }
    }

    @Test("trusted proxies are addresses, however they are written; names, networks and ports are refused")
    func readsTrustedProxies() throws {
        let proxies = try TrustedProxies(" 10.0.0.21,fd00::1 , ::ffff:10.0.0.22")
        for text in ["10.0.0.21", "::ffff:10.0.0.21", "FD00:0::1", "10.0.0.22"] {
            #expect(proxies.contains(text), "\(text)")
        }
        for text in ["10.0.0.20", "fd00::2", "", "lb1"] { #expect(!proxies.contains(text), "\(text)") }
        for text in [
            "", "10.0.0.1,", "lb1.example", "10.0.0.0/8", "10.0.0.1:443", "[fd00::1]", "10.0.0.1 lb",
        ] {
            let error = #expect(throws: TrustedProxiesError.self) { try TrustedProxies(text) }
            #expect(error?.description.contains("10.0.0.21,10.0.0.22") == true)
        }
    }
}
