import Domain
import Foundation
import NIOCore
import ServiceLink
import Testing

@testable import WebService

@Suite("Which servers one uses", .timeLimit(.minutes(1)))
struct RouteTests {
    @Test("a client that asks is told which servers its session goes through; others are not")
    func tellsRoute() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)

            try await client.send(text: #"{"kind":"ping","ref":1}"#)
            let pong = try await client.frame()
            try await client.send(text: #"{"kind":"route"}"#)
            let route = try await client.frame()

            let known = try #require(web.web.pool.servers.first)
            #expect(pong.kind == "pong")
            #expect(route.kind == "route")
            #expect(route.json["server"] as? String == "\(known.address)")
            #expect((route.json["web"] as? String)?.hasSuffix(":\(web.port)") == true)
            client.close()
        }
    }

    @Test("the status names the Web Service and each ASM Service of its list, to people with a session only")
    func tellsStatus() async throws {
        try await withWeb { web in
            let status = try await web.request("GET", "/v1/status").json
            let stranger = try await web.request("GET", "/v1/status", token: nil)

            let server = try #require((status["servers"] as? [[String: Any]])?.first)
            #expect((status["web"] as? String)?.hasSuffix(":\(web.port)") == true)
            #expect(server["address"] as? String == web.web.pool.servers.first.map { "\($0.address)" })
            #expect(server["state"] as? String == "healthy")
            #expect(stranger.status == 401)
        }
    }
}
