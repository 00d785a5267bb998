import Domain
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import ServiceLink
import SwiftProtobuf
import Testing

@Suite("A link server", .timeLimit(.minutes(1)))
struct LinkServerTests {
    @Test("says that its port is in use")
    func portInUse() async throws {
        let first = try await TestServer(TestService())
        let error = await #expect(throws: LinkServerError.self) {
            _ = try await TestServer(TestService(), port: first.address.port)
        }

        #expect(error?.description.contains("127.0.0.1:\(first.address.port)") == true)
        #expect(error?.description.contains("another process uses this port") == true)
        await first.server.closeAtOnce()
    }

    @Test(
        "closes a connection that does not keep to the protocol, and serves the others",
        arguments: [
            Array("GET / HTTP/1.1\r\n\r\n".utf8),  // A length far beyond the limit.
            [0, 0, 0, 3, 0xFF, 0xFF, 0xFF],  // No protobuf.
            [0, 0, 0, 2, 0x12, 0x00],  // A request before the hello.
            [0x01, 0x00, 0x00, 0x01],  // One byte more than a frame may have.
        ])
    func refusesGarbage(bytes: [UInt8]) async throws {
        let server = try await TestServer(TestService())
        try await withPool(of: [server]) { pool, _ in
            let client = try await RawClient(server.address)
            client.send(bytes)
            try await client.untilClosed()

            #expect(try await pool.echo("still here") == "still here")
        }
    }

    @Test("closes a connection that turns to garbage after its hello")
    func refusesLateGarbage() async throws {
        let server = try await TestServer(TestService())
        let client = try await RawClient(server.address)
        try client.sendHello()
        await client.received.until { !$0.isEmpty }

        client.send([0, 0, 0, 3, 0xFF, 0xFF, 0xFF])

        try await client.untilClosed()
        await server.service.closedConnections.until { $0 == 1 }
        await server.server.closeAtOnce()
    }

    @Test("tells a client of another version its own version and closes")
    func refusesOtherVersions() async throws {
        let server = try await TestServer(TestService())
        let client = try await RawClient(server.address)

        try client.sendHello(version: 2)

        try await client.untilClosed()
        let frame = try LinkFrame(serializedBytes: Array(client.received.value.dropFirst(4)))
        #expect(frame.hello.version == LinkVersions.ours.newest)
        #expect(frame.hello.oldestVersion == LinkVersions.ours.oldest)
        await server.server.closeAtOnce()
    }

    @Test("closes a connection without a hello")
    func closesSilentConnections() async throws {
        var limits = LinkLimits()
        limits.helloWithin = .milliseconds(50)
        let server = try await TestServer(TestService(), limits: limits)

        try await RawClient(server.address).untilClosed()

        await server.server.closeAtOnce()
    }

    @Test("closes the connection of a client that does not read")
    func boundsWhatWaits() async throws {
        var limits = LinkLimits()
        limits.outgoingBytes = 1 << 20
        let server = try await TestServer(TestService(), limits: limits)
        let client = try await RawClient(server.address, reads: false)
        try client.sendHello()
        try client.send(.with { $0.request = LinkRequest.with { $0.getStatus = LinkGetStatus() } })
        await server.service.openConnections.until { !$0.isEmpty }
        let connection = try #require(server.service.openConnections.value.values.first)

        let entry = LinkEntry.with { $0.body = String(repeating: "x", count: 60_000) }
        let delivery = LinkDelivery.with { $0.items = [.with { $0.entry = entry }] }
        for _ in 0..<2_000 where server.service.closedConnections.value == 0 { connection.send(delivery) }

        await server.service.closedConnections.until { $0 == 1 }
        await server.server.closeAtOnce()
        client.close()
    }

    @Test("refuses with a reason what is too long for a frame, and splits deliveries")
    func boundsFrames() async throws {
        var limits = LinkLimits()
        limits.frameBytes = 4_096
        let server = try await TestServer(TestService(), limits: limits)
        server.service.follow { request in
            guard case .findUsers = request.body else { return .usual }
            let user = LinkUser.with { $0.name = String(repeating: "n", count: 5_000) }
            return .body(.users(LinkUsers.with { $0.users = [user] }))
        }
        try await withPool(of: [server], limits: limits) { pool, events in
            let error = await #expect(throws: Refusal.self) { try await pool.echo("a") }
            #expect(error?.code == .tooLarge)
            let own = await #expect(throws: Refusal.self) {
                try await pool.echo(String(repeating: "q", count: 5_000))
            }
            #expect(own?.code == .tooLarge)

            let session = await pool.attachedSession()
            let connection = try #require(server.service.attached.value[session.id]?.connection)
            server.service.deliver(1...2_000, to: [session.id], on: connection)
            await events.delivered.until { $0.count == 2_000 }
            #expect(events.positions == Array(1...2_000))
        }
    }

    @Test("answers what is under way before it closes")
    func answersWhatIsUnderWay() async throws {
        var limits = LinkLimits()
        // Shorter than the server's looks are apart: one that comes late must not pass for quiet.
        limits.drainQuiet = .milliseconds(1)
        let server = try await TestServer(TestService(), limits: limits)
        let asked = Watched<LinkRequest?>(nil)
        server.service.follow { request in
            guard case .findUsers = request.body else { return .usual }
            asked.change { $0 = request }
            return .nothing
        }
        try await withPool(of: [server], limits: limits) { pool, _ in
            async let answer = pool.echo("asked")
            await asked.until { $0 != nil }
            let connection = try #require(server.service.openConnections.value.values.first)
            async let stopped: Void = server.server.stop()
            try await Task.sleep(for: .milliseconds(200))

            let users = LinkUsers.with { $0.users = [LinkUser.with { $0.name = "answered late" }] }
            connection.send([LinkResponse(id: try #require(asked.value?.id), .users(users))])

            #expect(try await answer == "answered late")
            await stopped
            #expect(server.service.openConnections.value.isEmpty)
        }
    }

    @Test("runs as a service and ends at graceful shutdown")
    func runsAsService() async throws {
        let server = LinkServer(
            address: BindAddress(host: "127.0.0.1", port: 0), name: "s", software: "1",
            service: TestService(),
            group: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        let port = try await server.start()
        #expect(server.boundPort == port)
        let pool = LinkPool(
            servers: try ServerList("127.0.0.1:\(port)"), name: "w", software: "1", events: TestEvents(),
            group: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        let services: [any Service] = [server, pool]
        let group = ServiceGroup(services: services, logger: quiet)

        async let running: Void = group.run()
        #expect(try await pool.echo("served") == "served")
        await group.triggerGracefulShutdown()
        try await running

        #expect(server.boundPort == nil)
        #expect(!pool.isServing)
    }
}
