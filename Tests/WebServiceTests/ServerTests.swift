import Domain
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOPosix
import ServiceLink
import Testing

@testable import WebService

@Suite("The HTTP server", .timeLimit(.minutes(1)))
struct ServerTests {
    @Test("every answer carries the security fields, errors and non-HTTP included")
    func sendsSecurityFields() async throws {
        try await withWeb { web in
            var replies: [(String, RawConnection.Reply)] = []
            for operation in web.web.operations {
                let path = operation.path.replacing("{id}", with: "77").replacing("{number}", with: "1")
                replies.append((path, try await web.request(operation.method.rawValue, path, json: "{}")))
            }
            for path in StaticFiles.byPath.keys { replies.append((path, try await web.request("GET", path))) }
            replies.append(("404", try await web.request("GET", "/nowhere")))
            replies.append(("405", try await web.request("DELETE", "/")))
            let garbage = try await web.connect()
            try await garbage.send(Array("NONSENSE\r\n\r\n".utf8))
            replies.append(("garbage", try await garbage.reply()))
            let live = try await web.connect()
            replies.append(("upgrade", try await live.upgrade()))

            for (path, reply) in replies {
                for (name, value) in SecurityHeaders.fields where name != "Cache-Control" {
                    #expect(reply.fields[name.lowercased()] == value, "\(name) of \(path)")
                }
                #expect(reply.fields["cache-control"] != nil, "Cache-Control of \(path)")
            }
            live.close()
            garbage.close()
        }
    }

    @Test("what is no HTTP is answered with 400 as JSON, and the connection ends")
    func refusesGarbage() async throws {
        try await withWeb { web in
            let connection = try await web.connect()
            try await connection.send(Array("\u{16}\u{3}\u{1} tls?\r\n\r\n".utf8))

            let reply = try await connection.reply()

            #expect(reply.status == 400)
            #expect(reply.errorCode == "bad-request")
            try await connection.waitForEnd()
        }
    }

    @Test("a connection that does not finish its first head in time is closed")
    func closesSlowHeads() async throws {
        try await withWeb {
            $0.limits.headTimeout = .milliseconds(100)
        } body: { web in
            let connection = try await web.connect()
            try await connection.send(Array("GET / HTTP/1.1\r\nHost: a".utf8))

            try await connection.waitForEnd()
        }
    }

    @Test("a connection that does not finish its body in time is closed")
    func closesSlowBodies() async throws {
        try await withWeb {
            $0.limits.bodyTimeout = .milliseconds(100)
        } body: { web in
            let connection = try await web.connect()
            try await connection.send(
                Array("POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{".utf8))

            try await connection.waitForEnd()
        }
    }

    @Test("an idle connection is kept for a next request, and closed after its time")
    func keepsAlive() async throws {
        try await withWeb {
            $0.limits.keepAliveTimeout = .milliseconds(300)
        } body: { web in
            let connection = try await web.connect()

            let first = try await connection.request("GET", "/healthz")
            let second = try await connection.request("GET", "/healthz")

            #expect(first.status == 200)
            #expect(second.status == 200)
            try await connection.waitForEnd()
        }
    }

    @Test("a file is not sent again to who has this version")
    func answersNotModified() async throws {
        try await withWeb { web in
            let first = try await web.request("GET", "/")
            let tag = try #require(first.fields["etag"])

            let again = try await web.request("GET", "/", ["If-None-Match": tag])

            #expect(first.fields["content-type"] == "text/html; charset=utf-8")
            #expect(first.fields["cache-control"] == "no-cache")
            #expect(again.status == 304)
            #expect(again.body.isEmpty)
        }
    }

    @Test("it is ready only while an ASM Service can be reached, and tells strangers nothing of the servers")
    func tellsReadiness() async throws {
        try await withWeb { web in
            while try await web.request("GET", "/readyz").status != 200 {
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        try await withWeb {
            // Port 1 of the loopback interface: nobody listens there.
            $0.servers = (try? ServerList([BindAddress(host: "127.0.0.1", port: 1)])) ?? $0.servers
        } body: { web in
            let ready = try await web.request("GET", "/readyz")
            let alive = try await web.request("GET", "/healthz")

            #expect(ready.status == 503)
            #expect(ready.errorMessage == "No ASM Service can be reached.")
            #expect(alive.status == 200)
        }
    }

    @Test("the metrics tell live clients, frames, refusals, CPU and memory")
    func tellsMetrics() async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)
            try await client.send(text: #"{"kind":"dance"}"#)
            _ = try await client.frame()

            let page = String(decoding: try await web.request("GET", "/metrics").body, as: UTF8.self)

            for line in [
                "asm_web_live_clients 1", "asm_web_live_frames_received_total 2",
                "asm_web_refusals_total{code=\"unknown-frame\"} 1", "process_cpu_seconds_total ",
                "process_resident_memory_bytes ",
            ] { #expect(page.contains(line), "\(line)") }
            client.close()
        }
    }

    @Test("a port in use is said plainly, with the address")
    func refusesPortInUse() async throws {
        try await withWeb { web in
            let second = WebService(
                configuration: WebServiceConfiguration(
                    address: BindAddress(host: "127.0.0.1", port: web.port),
                    servers: web.web.configuration.servers),
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })

            let error = await #expect(throws: WebServiceError.self) { try await second.run() }

            #expect(error.map { "\($0)" }?.contains("127.0.0.1:\(web.port)") == true)
            #expect(error.map { "\($0)" }?.contains("another process uses this port") == true)
        }
    }

    @Test("the OpenAPI document describes exactly the operations that the server answers")
    func matchesOpenAPI() async throws {
        try await withWeb { web in
            let document = try await web.request("GET", "/v1/openapi.json").json
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let methods: Set = ["get", "put", "post", "delete", "patch", "head", "options"]
            var described: Set<String> = []
            for (path, operations) in paths {
                for method in operations.keys where methods.contains(method) {
                    described.insert("\(method.uppercased()) \(path)")
                }
            }

            let answered = Set(web.web.operations.map { "\($0.method.rawValue) \($0.path)" })

            #expect(described.subtracting(answered) == [], "described, but not answered")
            #expect(answered.subtracting(described) == [], "answered, but not described")
            #expect(web.web.operations == Set(ServiceAPI.all))
        }
    }
}
