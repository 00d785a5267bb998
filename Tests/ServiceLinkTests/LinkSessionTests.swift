import Domain
import NIOCore
import NIOPosix
import Observability
import ServiceLink
import SwiftProtobuf
import Testing

@Suite("A live session", .timeLimit(.minutes(1)))
struct LinkSessionTests {
    /// Two servers over one log, and which of them has the session.
    private func withSession(
        limits: LinkLimits = .init(), cursor: LogCursor? = nil, metrics: MetricRegistry = MetricRegistry(),
        groups: [any EventLoopGroup] = [],
        _ body: (
            _ pool: LinkPool, _ session: LinkSession, _ sink: TestSink, _ events: TestEvents,
            _ victim: TestServer, _ survivor: TestServer
        ) async throws -> Void
    ) async throws {
        let log = TestLog()
        let shared: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
        let a = try await TestServer(TestService(log: log), group: groups.first ?? shared)
        let b = try await TestServer(TestService(log: log), group: groups.last ?? shared)
        try await withPool(of: [a, b], limits: limits, metrics: metrics) { pool, events in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            let sink = TestSink()
            let session = await pool.attachedSession(sink, cursor: cursor)
            let (victim, survivor) = a.hasSession(session) ? (a, b) : (b, a)
            try await body(pool, session, sink, events, victim, survivor)
        }
    }

    @Test("loses, doubles and reorders no message when its server dies, before or after the commit")
    func survivesItsServer() async throws {
        let metrics = MetricRegistry()
        try await withSession(metrics: metrics) { _, session, sink, _, victim, survivor in
            let texts = (1...50).map { "message \($0)" }
            // The first ten are stored, and their answers are lost; the others are lost altogether.
            victim.service.follow { [log = victim.service.log] request in
                guard case .sendMessage(let message) = request.body else { return .usual }
                if log.texts.count < 10 { _ = log.append(message) }
                return .nothing
            }
            let results = session.sendAll(texts)
            await victim.service.seen.until { $0.messages.count == 50 }

            await victim.server.closeAtOnce()
            await results.until { $0.count == 50 }

            #expect(results.value.allSatisfy { $0.isSuccess })
            #expect(survivor.service.log.texts == texts)
            #expect(survivor.service.log.replays == 10)
            #expect(
                survivor.service.seen.value.messages.map(\.clientID)
                    == victim.service.seen.value.messages.map(\.clientID))
            #expect(sink.events.value == [.attached(0)])
            #expect(metrics.counter(.linkReattached).value == 1 && metrics.counter(.linkFailovers).value == 1)
        }
    }

    @Test("keeps the order of what is sent while it moves")
    func keepsOrderWhileMoving() async throws {
        try await withSession { _, session, _, _, victim, survivor in
            victim.service.follow { request in
                if case .sendMessage = request.body { .nothing } else { .usual }
            }
            let texts = (1...200).map { "message \($0)" }
            let before = session.sendAll(Array(texts[..<100]))
            await victim.service.seen.until { $0.messages.count == 100 }
            async let gone: Void = victim.server.closeAtOnce()
            let after = session.sendAll(Array(texts[100...]))

            await before.until { $0.count == 100 }
            await after.until { $0.count == 100 }
            await gone

            #expect(survivor.service.log.texts == texts)
        }
    }

    @Test("leaves a server that stands still, and the server serves again when it goes on")
    func leavesStandingServers() async throws {
        let groups = [
            MultiThreadedEventLoopGroup(numberOfThreads: 1), MultiThreadedEventLoopGroup(numberOfThreads: 1),
        ]
        try await withSession(limits: hastyLimits(), groups: groups) {
            pool, session, sink, _, victim, survivor in
            let index = try #require(pool.servers.firstIndex { $0.address == victim.address })
            let group = index == 0 ? groups[0] : groups[1]
            let thread = await StoppedThread(of: group)
            let sent = ContinuousClock.now
            let result = await session.send("while it stands")
            let state = pool.servers[index].state
            thread.goOn()

            #expect(result.isSuccess)
            #expect(ContinuousClock.now - sent < .seconds(10))
            #expect(state == .unreachable)
            try await eventually("it is healthy again") { pool.areHealthy(2) }
            #expect(survivor.service.log.texts == ["while it stands"])
            #expect(survivor.hasSession(session))
            #expect(sink.events.value == [.attached(0)])
        }
        for group in groups { try await group.shutdownGracefully() }
    }

    @Test(
        "is attached elsewhere at its last position, and gets nothing twice or from the server it left"
    )
    func resumesAtItsPosition() async throws {
        try await withSession(limits: hastyLimits()) { pool, session, sink, events, victim, survivor in
            let old = try #require(victim.service.attached.value[session.id]?.connection)
            victim.service.deliver(1...5, to: [session.id, 99], on: old)
            victim.service.deliver(4...6, to: [session.id], on: old)
            await events.delivered.until { $0.last?.position == 6 }
            let refusal = LinkRefused(Refusal(.unavailable, "No database."))
            victim.service.follow { _ in .body(.refused(refusal)) }
            #expect(await session.send("moves").isSuccess)

            let attachment = try #require(survivor.service.attached.value[session.id])
            let last = LogEntry(LinkEntry.with { $0.position = 6 })
            #expect(attachment.cursor == LogCursor(epoch: testEpoch, position: 6, mark: last.mark))
            victim.service.deliver(10...10, to: [session.id], on: old)
            survivor.service.deliver(5...8, to: [session.id], on: attachment.connection)
            await events.delivered.until { [8, 10].contains($0.last?.position) }

            #expect(events.positions == [1, 2, 3, 4, 5, 6, 7, 8])
            #expect(events.delivered.value.allSatisfy { $0.sessions == [session.id] })
            #expect(sink.events.value == [.attached(0)])
            session.close()
            try await eventually("it is detached") { !survivor.hasSession(session) }
            survivor.service.deliver(9...9, to: [session.id], on: attachment.connection)
            #expect(try await pool.echo("after the delivery") == "after the delivery")
            #expect(events.positions.last == 8)
        }
    }

    @Test("keeps up where nothing happens to it, and is attached elsewhere from there")
    func keepsUp() async throws {
        try await withSession { _, session, sink, events, victim, survivor in
            let old = try #require(victim.service.attached.value[session.id]?.connection)
            let known = LogCursor(epoch: testEpoch, position: 9_000, fingerprint: .init(rawValue: 9))
            for (customer, position) in [(0, 9_000), (7, 9_100), (0, 8_000)] as [(Int64, Int64)] {
                old.send(
                    frame: .with {
                        $0.followed = .with {
                            $0.customer = customer
                            $0.cursor = LogCursor(
                                epoch: testEpoch, position: position, fingerprint: .init(rawValue: 9))
                        }
                    })
            }
            // What another history's server says does not concern it.
            old.send(
                frame: .with {
                    $0.followed = .with { $0.cursor = LogCursor(epoch: .random(), position: 9_900) }
                })
            await events.notes.until { $0 == 4 }
            await victim.server.closeAtOnce()
            await survivor.service.attached.until { $0[session.id] != nil }

            #expect(survivor.service.attached.value[session.id]?.cursor == known)
            #expect(events.positions.isEmpty)
            #expect(sink.events.value == [.attached(0)])
        }
    }

    @Test("tells its owner to load anew when the server says so, and goes on from there")
    func resyncs() async throws {
        let cursor = LogCursor(epoch: testEpoch, position: 40)
        try await withSession(cursor: cursor) { _, session, sink, events, victim, survivor in
            #expect(victim.service.attached.value[session.id]?.cursor == cursor)
            survivor.service.follow { request in
                guard case .attach = request.body else { return .usual }
                let attached = LinkAttached.with {
                    $0.cursor = LogCursor(epoch: testEpoch, position: 9_000)
                    $0.resync = true
                }
                return .body(.attached(attached))
            }
            await victim.server.closeAtOnce()
            await sink.events.until { $0 == [.attached(40), .resync(9_000)] }

            let connection = try #require(survivor.service.openConnections.value.values.first)
            connection.send(
                frame: .with {
                    $0.sessionEnded = .with {
                        $0.sessions = [session.id]
                        $0.code = "resync"
                        $0.cursor = LogCursor(epoch: testEpoch, position: 9_500)
                    }
                })
            survivor.service.deliver(9_499...9_501, to: [session.id], on: connection)
            await events.delivered.until { !$0.isEmpty }

            #expect(events.positions == [9_501])
            #expect(sink.events.value.last == .resync(9_500))
        }
    }

    @Test(
        "ends when a server says that its token is void; of a message on its way it says that nothing is known"
    )
    func ends() async throws {
        try await withSession { pool, session, sink, _, victim, _ in
            victim.service.follow { request in
                if case .sendMessage = request.body { .nothing } else { .usual }
            }
            let results = session.sendAll(["a"])
            await victim.service.seen.until { $0.messages.count == 1 }
            let connection = try #require(victim.service.attached.value[session.id]?.connection)
            connection.send(
                frame: .with {
                    $0.sessionEnded = .with {
                        $0.sessions = [session.id]
                        $0.code = "unauthenticated"
                    }
                })
            await sink.events.until { $0.last == .ended(.unauthenticated) }
            await results.until { $0.count == 1 }
            // It may be stored: a client that believed in a final refusal would let people write it twice.
            #expect(results.value.first?.refusal?.code == .unavailable)

            victim.service.follow { _ in .body(.refused(LinkRefused(Refusal(.unauthenticated, "Void.")))) }
            let other = TestSink()
            _ = pool.open(token: [9], cursor: nil, sink: other)
            _ = pool.open(token: [9], cursor: nil, sink: other)
            await other.events.until { $0.contains(.ended(.unauthenticated)) }
        }
    }

    @Test("moves from a draining server without a refused message")
    func movesFromDrainingServers() async throws {
        try await withSession { _, session, sink, _, victim, survivor in
            let results = Watched<[Result<LinkAccepted, Refusal>]>([])
            let stopped = Watched(false)
            let sending = Task {
                var number = 0
                while !stopped.value || number < 200 {
                    number += 1
                    let result = await session.send("message \(number)")
                    results.change { $0.append(result) }
                }
                return number
            }
            await results.until { $0.count >= 20 }

            let began = ContinuousClock.now
            await victim.server.stop()
            let took = ContinuousClock.now - began
            stopped.change { $0 = true }
            let count = await sending.value

            #expect(results.value.allSatisfy { $0.isSuccess })
            #expect(survivor.service.log.texts == (1...count).map { "message \($0)" })
            #expect(took < LinkLimits().drainWithin)
            #expect(survivor.hasSession(session))
            #expect(sink.events.value == [.attached(0)])
        }
    }

    @Test("is sent on when its server answers unavailable")
    func leavesRefusingServers() async throws {
        try await withSession { _, session, _, _, victim, survivor in
            let refusal = LinkRefused(Refusal(.unavailable, "No database."))
            victim.service.follow { _ in .body(.refused(refusal)) }
            let results = session.sendAll(["1", "2", "3"])

            await results.until { $0.count == 3 }

            #expect(results.value.allSatisfy { $0.isSuccess })
            #expect(survivor.service.log.texts == ["1", "2", "3"])
        }
    }

    @Test("moves when its server lets a message wait too long")
    func leavesSlowServers() async throws {
        var limits = hastyLimits()
        limits.attemptWithin = .seconds(1)
        try await withSession(limits: limits) { _, session, _, _, victim, survivor in
            victim.service.follow { request in
                if case .sendMessage = request.body { .nothing } else { .usual }
            }

            #expect(await session.send("slow").isSuccess)
            #expect(survivor.service.log.texts == ["slow"])
        }
    }

    @Test("is not harmed by a late refusal from the server that it has left")
    func ignoresLateRefusals() async throws {
        try await withSession(limits: hastyLimits()) { pool, session, _, _, victim, survivor in
            let refusal = LinkRefused(Refusal(.unavailable, "No database."))
            victim.service.follow { request in
                switch request.body {
                case .sendMessage: .nothing
                case .findUsers: .body(.refused(refusal))
                default: .usual
                }
            }
            survivor.service.follow { request in
                if case .sendMessage = request.body { .nothing } else { .usual }
            }
            let results = session.sendAll(["held"])
            await victim.service.seen.until { $0.messages.count == 1 }
            for _ in 0..<2 { #expect(try await pool.echo("moves the session") == "moves the session") }
            await survivor.service.seen.until { $0.messages.count == 1 }
            let late = try #require(victim.service.seen.value.first { $0.body?.isMessage == true })
            let asked = try #require(survivor.service.seen.value.first { $0.body?.isMessage == true })

            victim.service.follow { _ in .usual }
            let old = try #require(victim.service.openConnections.value.values.first)
            old.send(LinkResponse(id: late.id, Refusal(.internalError, "Late.")))
            try await eventually("it is healthy again") { pool.areHealthy(2) }
            for _ in 0..<4 { _ = try await pool.echo("after the refusal, on either connection") }
            #expect(results.value.isEmpty)
            let new = try #require(survivor.service.openConnections.value.values.first)
            new.send(LinkResponse(id: asked.id, .accepted(LinkAccepted.with { $0.position = 4 })))
            await results.until { !$0.isEmpty }

            #expect(results.value.allSatisfy { $0.isSuccess })
            #expect(asked.sendMessage == late.sendMessage)
        }
    }

    @Test("passes a final refusal on, and refuses more unanswered messages than it may have")
    func refuses() async throws {
        var limits = LinkLimits()
        limits.sessionSends = 3
        try await withSession(limits: limits) { _, session, _, _, victim, _ in
            victim.service.follow { _ in .body(.refused(LinkRefused(Refusal(.threadClosed, "Closed.")))) }
            #expect(await session.send("a").refusal == Refusal(.threadClosed, "Closed."))

            victim.service.follow { _ in .nothing }
            let results = session.sendAll(["1", "2", "3", "4"])
            await results.until { !$0.isEmpty }
            #expect(results.value.map(\.refusal?.code) == [.tooManyRequests])

            session.close()
            await results.until { $0.count == 4 }
            #expect(results.value.dropFirst().allSatisfy { $0.refusal?.code == .unavailable })
        }
    }

    @Test("repeats marks of the last second at the next server, merged")
    func repeatsMarks() async throws {
        try await withSession { _, session, _, _, victim, survivor in
            for number in 1...3 as ClosedRange<Int64> {
                session.mark(
                    .with {
                        $0.thread = 5
                        $0.delivered = number
                        $0.read = number - 1
                    })
            }
            await victim.service.seen.until { $0.count { $0.body?.isMark == true } == 3 }
            await victim.server.closeAtOnce()
            await survivor.service.seen.until { $0.contains { $0.body?.isMark == true } }

            let marks = survivor.service.seen.value.filter { $0.body?.isMark == true }.map(\.markReceipt)
            #expect(marks.map(\.delivered) == [3] && marks.map(\.read) == [2])
        }
    }

    @Test("is shared out evenly over the servers")
    func spreads() async throws {
        let servers = try await [TestServer(TestService()), TestServer(TestService())]
        try await withPool(of: servers) { pool, _ in
            try await eventually("both are healthy") { pool.areHealthy(2) }
            for _ in 0..<40 { _ = await pool.attachedSession() }

            #expect(servers.map(\.service.attached.value.count) == [20, 20])

            await servers[0].server.closeAtOnce()
            try await eventually("all moved") { servers[1].service.attached.value.count == 40 }
        }
    }
}

extension LinkRequest.OneOf_Body {
    fileprivate var isMessage: Bool { if case .sendMessage = self { true } else { false } }
    fileprivate var isMark: Bool { if case .markReceipt = self { true } else { false } }
}
