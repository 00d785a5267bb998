import NIOCore
import NIOPosix
import ServiceLink
import SwiftProtobuf
import TestSupport
import Testing

@Suite("The door of a link server", .timeLimit(.minutes(1)))
struct LinkDoorTests {
    private static func limits(all: Int, perAddress: Int) -> LinkLimits {
        var limits = LinkLimits()
        limits.connections = all
        limits.connectionsPerAddress = perAddress
        limits.helloWithin = .seconds(30)
        return limits
    }

    private func greeted(_ address: BindAddress) async throws -> RawClient {
        let client = try await RawClient(address)
        try client.sendHello()
        await client.received.until { !$0.isEmpty }
        return client
    }

    @Test(
        "takes so many connections and no more, until one goes",
        arguments: [(2, 100, "2 connections are open"), (100, 2, "2 connections from 127.0.0.1 are open")])
    func full(all: Int, perAddress: Int, reason: String) async throws {
        let log = RecordedLog()
        let server = try await TestServer(
            TestService(), limits: Self.limits(all: all, perAddress: perAddress), logger: log.logger)
        let first = try await greeted(server.address)
        let second = try await greeted(server.address)

        try await RawClient(server.address).untilClosed()
        let line = try await log.line("Link connection refused")
        #expect(line?.facts["link.reason"]?.contains(reason) == true, "\(line?.facts ?? [:])")

        first.close()
        await server.service.closedConnections.until { $0 == 1 }
        let third = try await greeted(server.address)
        second.close()
        third.close()
        await server.server.closeAtOnce()
    }

    @Test("lets the oldest that has said nothing go, and nobody else", arguments: [(3, 100), (100, 3)])
    func silent(all: Int, perAddress: Int) async throws {
        let server = try await TestServer(
            TestService(), limits: Self.limits(all: all, perAddress: perAddress))
        let known = try await greeted(server.address)
        let silent = try await RawClient(server.address)
        let other = try await greeted(server.address)

        let last = try await greeted(server.address)

        try await silent.untilClosed()
        #expect(server.service.closedConnections.value == 0)
        for client in [known, other, last] { client.close() }
        await server.service.closedConnections.until { $0 == 3 }
        await server.server.closeAtOnce()
    }

    @Test("gives the hello its time from the beginning, whatever comes meanwhile")
    func trickle() async throws {
        var limits = LinkLimits()
        limits.helloWithin = .milliseconds(300)
        let log = RecordedLog()
        let server = try await TestServer(TestService(), limits: limits, logger: log.logger)
        let client = try await RawClient(server.address)
        client.send([0, 0, 0x10, 0])

        await withTaskGroup { tasks in
            tasks.addTask {
                // Ends with the connection: then it is cancelled.
                while (try? await Task.sleep(for: .milliseconds(20))) != nil { client.send([10]) }
            }
            // However it ended, it has ended.
            try? await client.untilClosed()
            tasks.cancelAll()
        }

        let line = try await log.line("Link connection closed by us")
        #expect(line?.facts["link.reason"] == "no hello came in time")
        await server.server.closeAtOnce()
    }

    @Test("takes no first frame over 4 KiB, and frames of any allowed length after it")
    func firstFrame() async throws {
        let server = try await TestServer(TestService())
        let large = try await RawClient(server.address)
        large.send([0, 0, 0x10, 1])
        try await large.untilClosed()

        let client = try await greeted(server.address)
        let search = String(repeating: "x", count: 10_000)
        try client.send(
            .with {
                $0.request = .with { ($0.id, $0.findUsers) = (1, LinkFindUsers.with { $0.search = search }) }
            })
        await server.service.seen.until { !$0.isEmpty }
        client.close()
        await server.server.closeAtOnce()
    }
}
