import AsyncHTTPClient
import Health
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@Suite("Health checks", .timeLimit(.minutes(1)))
struct HealthServerTests {
    private struct Answer: Sendable {
        let status: Int
        let body: String
        let type: String?
    }

    private static func ask(_ port: Int, _ path: String, method: String = "GET") async throws -> Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        request.method = .init(rawValue: method)
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        let body = try await response.body.collect(upTo: 1 << 20)
        return Answer(
            status: Int(response.status.code), body: String(buffer: body),
            type: response.headers.first(name: "Content-Type"))
    }

    /// Runs a health server while the body asks it.
    private static func serving(
        _ readiness: @escaping @Sendable () -> HealthChecks.Readiness, pages: [String: String] = [:],
        _ body: (Int) async throws -> Void
    ) async throws {
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let server = HealthServer(
            host: "127.0.0.1", port: 0,
            checks: HealthChecks(readiness: readiness, metrics: { "asm_test 7\n" }), pages: pages,
            group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test")
        ) { port.yield($0) }
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            let bound = try #require(await ports.first { _ in true })
            try await body(bound)
            group.cancelAll()
        }
    }

    @Test("say alive, ready and the metrics")
    func answers() async throws {
        try await Self.serving({ .ready }, pages: ["/": "Nothing here yet.\n"]) { port in
            let alive = try await Self.ask(port, "/healthz")
            let ready = try await Self.ask(port, "/readyz?full=1")
            let metrics = try await Self.ask(port, "/metrics")
            let page = try await Self.ask(port, "/")
            let head = try await Self.ask(port, "/readyz", method: "HEAD")

            #expect(alive.status == 200 && alive.body == #"{"status":"alive"}"#)
            #expect(ready.status == 200 && ready.body == #"{"status":"ready"}"#)
            #expect(metrics.body == "asm_test 7\n")
            #expect(metrics.type == "text/plain; version=0.0.4; charset=utf-8")
            #expect(page.body == "Nothing here yet.\n" && page.type == "text/plain; charset=utf-8")
            #expect(head.status == 200 && head.body == "")
        }
    }

    @Test("stay alive and say 503 with the reason when the component does not serve")
    func notReady() async throws {
        let state = Mutex(HealthChecks.Readiness.notReady(state: "degraded", reason: "No \"database\"."))
        try await Self.serving({ state.withLock { $0 } }) { port in
            let first = try await Self.ask(port, "/readyz")
            #expect(first.status == 503)
            #expect(first.body == #"{"reason":"No \"database\".","status":"degraded"}"#)
            let alive = try await Self.ask(port, "/healthz")
            #expect(alive.status == 200)

            state.withLock { $0 = .ready }
            let second = try await Self.ask(port, "/readyz")
            #expect(second.status == 200)
        }
    }

    @Test("refuse what is not theirs")
    func refusals() async throws {
        try await Self.serving({ .ready }) { port in
            let root = try await Self.ask(port, "/")
            let below = try await Self.ask(port, "/healthz/more")
            let post = try await Self.ask(port, "/readyz", method: "POST")
            #expect([root.status, below.status, post.status] == [404, 404, 405])
        }
    }

    @Test("answer others while connections stand idle, and close what is too much")
    func idleConnections() async throws {
        try await Self.serving({ .ready }) { port in
            var idle: [any Channel] = []
            for _ in 0..<40 {
                idle.append(
                    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                        .connect(host: "127.0.0.1", port: port).get())
            }
            let among = try await Self.ask(port, "/readyz")
            #expect(among.status == 200)

            // The oldest ones are beyond the limit: closed by the server, at once.
            try await idle.first?.closeFuture.get()
            for channel in idle { channel.close(promise: nil) }
        }
    }

    @Test(
        "answer each probe while 80 half requests are kept up from the same address, and close those within a second"
    )
    func halfRequests() async throws {
        try await Self.serving({ .ready }) { port in
            try await withThrowingTaskGroup(of: Void.self) { attackers in
                for _ in 0..<80 {
                    attackers.addTask {
                        while !Task.isCancelled {
                            let channel = try await ClientBootstrap(
                                group: MultiThreadedEventLoopGroup.singleton
                            )
                            .connect(host: "127.0.0.1", port: port).get()
                            let start = ContinuousClock.now
                            try await channel.writeAndFlush(
                                ByteBuffer(string: "GET /readyz HTTP/1.1\r\nHost: ")
                            ).get()
                            try await channel.closeFuture.get()
                            if start.duration(to: .now) > .seconds(4) { throw StillOpen() }
                            // The oldest unfinished connection goes: a probe on a busy machine must not be that one.
                            try await Task.sleep(for: .seconds(1))
                        }
                    }
                }
                for _ in 0..<10 {
                    let answer = try await Self.ask(port, "/readyz")
                    #expect(answer.status == 200)
                }
                attackers.cancelAll()
            }
        }
    }

    private struct StillOpen: Error {}

    @Test("name the port that is in use")
    func portInUse() async throws {
        try await Self.serving({ .ready }) { port in
            let second = HealthServer(
                host: "127.0.0.1", port: port, checks: HealthChecks(readiness: { .ready }, metrics: { "" }),
                group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
            let error = await #expect(throws: HealthServerError.self) { try await second.run() }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
        }
    }
}
