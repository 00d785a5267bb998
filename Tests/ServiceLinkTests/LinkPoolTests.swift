import Domain
import NIOPosix
import Observability
import ServiceLink
import SwiftProtobuf
import TestSupport
import Testing

@Suite("A link pool", .timeLimit(.minutes(1)))
struct LinkPoolTests {
    @Test("gives each of many requests its own answer")
    func answersRequests() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        try await withPool(of: servers) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for number in 0..<500 {
                    tasks.addTask { try await pool.echo("text \(number)") == "text \(number)" }
                }
                for try await isOwn in tasks { #expect(isOwn) }
            }

            #expect(servers.allSatisfy { $0.service.seen.value.count > 100 })
            let first = servers[0].service.seen.value.last
            #expect(first?.token.isEmpty == false && first?.deadlineMilliseconds ?? 0 > 1_000)
        }
    }

    @Test("throws the server's refusal as it is, and an unknown code as an internal error")
    func throwsRefusals() async throws {
        let server = try await TestServer(TestService())
        try await withPool(of: [server]) { pool, _ in
            let refusal = Refusal(.tooManyRequests, "Slowly.", retryAfterMilliseconds: 700)
            server.service.follow { _ in .body(.refused(LinkRefused(refusal))) }
            await #expect(throws: refusal) { try await pool.echo("a") }

            let newer = LinkRefused.with {
                $0.code = "brand-new"
                $0.message = "Text."
            }
            server.service.follow { _ in .body(.refused(newer)) }
            await #expect(throws: Refusal(.internalError, "Text.")) { try await pool.echo("a") }
        }
    }

    @Test("asks the other server when one dies with requests in flight")
    func repeatsAfterLoss() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        try await withPool(of: servers) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            servers[0].service.follow { _ in .nothing }
            let known = servers[0].service.seen.value.count
            async let answers = withThrowingTaskGroup(of: String.self) { tasks in
                for number in 0..<100 { tasks.addTask { try await pool.echo("\(number)") } }
                return try await tasks.reduce(into: Set<String>()) { $0.insert($1) }
            }
            await servers[0].service.seen.until { $0.count > known + 20 }

            await servers[0].server.closeAtOnce()

            #expect(try await answers.count == 100)
        }
    }

    @Test("says that nothing is known when a token is void only at the second attempt")
    func voidAtTheSecondAttempt() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        try await withPool(of: servers) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            let void = LinkRefused(Refusal(.unauthenticated, "Void."))
            servers[0].service.follow { _ in .nothing }
            servers[1].service.follow { _ in .body(.refused(void)) }
            let known = servers[0].service.seen.value.count
            async let codes = withTaskGroup(of: Refusal.Code?.self) { tasks in
                for _ in 0..<20 {
                    tasks.addTask {
                        do {
                            _ = try await pool.echo("a")
                            return nil
                        } catch {
                            return (error as? Refusal)?.code
                        }
                    }
                }
                return await tasks.reduce(into: [Refusal.Code?]()) { $0.append($1) }
            }
            await servers[0].service.seen.until { $0.count >= known + 10 }

            await servers[0].server.closeAtOnce()

            // Half of them had been given to the server that died.
            let all = await codes
            #expect(all.count { $0 == .unavailable } == 10, "\(all)")
            #expect(all.count { $0 == .unauthenticated } == 10, "\(all)")
        }
    }

    @Test("asks the next server when one answers unavailable, and comes back to it when it is well again")
    func leavesRefusingServers() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        try await withPool(of: servers, limits: hastyLimits()) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            let refusal = LinkRefused(Refusal(.unavailable, "No database."))
            servers[0].service.follow { _ in .body(.refused(refusal)) }

            for number in 0..<20 { #expect(try await pool.echo("\(number)") == "\(number)") }
            #expect(pool.servers.map(\.state) == [.refusing, .healthy])
            #expect(pool.isServing)

            servers[0].service.follow { _ in .usual }
            try await eventually("it is healthy again") { pool.areHealthy(2) }
        }
    }

    @Test("does not use a server that says it is degraded")
    func avoidsDegradedServers() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        servers[0].service.follow { _ in .body(.status(LinkStatus.with { $0.state = "degraded" })) }
        try await withPool(of: servers) { pool, _ in
            try await eventually("one refuses") { pool.servers.map(\.state) == [.refusing, .healthy] }
            for _ in 0..<10 { _ = await pool.attachedSession() }

            #expect(servers[0].service.attached.value.isEmpty)
            #expect(pool.servers[0].sessions == 0)
        }
    }

    @Test("refuses with unavailable while no server can be reached, and recovers by itself")
    func recovers() async throws {
        let address = BindAddress(host: "127.0.0.1", port: try LoopbackPort.free())
        try await withPool(at: [address], limits: hastyLimits()) { pool, _ in
            let sink = TestSink()
            _ = pool.open(token: [1], cursor: nil, sink: sink)
            let error = await #expect(throws: Refusal.self) {
                try await pool.echo("a", deadline: .milliseconds(300))
            }
            #expect(error?.code == .unavailable && error?.retryAfterMilliseconds == 1_000)
            #expect(!pool.isServing && pool.servers.first?.state == .unreachable)

            let again = try await TestServer(TestService(), port: address.port)
            await sink.events.until { $0 == [.attached(0)] }
            #expect(try await pool.echo("b") == "b")
            #expect(pool.isServing)
            await again.server.closeAtOnce()
        }
    }

    @Test("does not let retries multiply the load of servers that refuse")
    func boundsRetries() async throws {
        let refusal = LinkRefused(Refusal(.unavailable, "Too much."))
        let services = (0..<2).map { _ in
            TestService { request in
                if case .getStatus = request.body { .usual } else { .body(.refused(refusal)) }
            }
        }
        let servers = try await [TestServer(services[0]), TestServer(services[1])]
        var limits = hastyLimits()
        limits.retryFloor = 5
        limits.probeEvery = .milliseconds(20)
        let requests = 300
        try await withPool(of: servers, limits: limits) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<requests {
                    tasks.addTask {
                        await #expect(throws: Refusal.self) {
                            try await pool.echo("a", deadline: .seconds(2))
                        }
                    }
                }
            }

            let attempts = services.flatMap(\.seen.value).count {
                if case .findUsers = $0.body { true } else { false }
            }
            #expect(attempts > requests / 2)
            #expect(attempts <= requests + limits.retryFloor + requests / 10)
        }
    }

    @Test("counts what it does")
    func counts() async throws {
        let metrics = MetricRegistry()
        let server = try await TestServer(TestService())
        try await withPool(of: [server], metrics: metrics) { pool, _ in
            for _ in 0..<3 { _ = try await pool.echo("a") }

            let text = metrics.render()
            #expect(text.contains("# TYPE asm_link_requests_total counter\nasm_link_requests_total 3\n"))
            #expect(text.contains("asm_link_connections 1\n"))
        }
    }
}
