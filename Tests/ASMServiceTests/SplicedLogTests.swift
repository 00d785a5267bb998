import Domain
import Observability
import SQLDatabase
import ServiceLink
import Store
import TestSupport
import Testing

@testable import ASMService

@Suite("A log whose end was lost and has grown again", .serialized)
struct SplicedLogTests {
    @Test("It begins a new epoch although it is as long as before", arguments: TestEngine.allCases)
    func asLong(_ engine: TestEngine) async throws {
        try await withFollowed(on: engine) { test in
            try await test.service.fill(test.thread, by: "bob", count: 3)
            try await test.feed.verified()
            #expect(try await test.hasNewEpoch())
        }
    }

    @Test(
        "Live sessions are told by the poll, whoever wrote what stands there now",
        arguments: TestEngine.allCases)
    func polled(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let alice = try await test.web(try await test.server()).session("alice")
            _ = await alice.send("kept", in: thread)
            let kept = try await test.store.head(of: test.customer.id)
            _ = await alice.send("lost", in: thread)
            // In one step, so that no look sees the log shorter than it was.
            try await test.store.database.query(
                "UPDATE entry SET client_id = \(ClientID.random()), at = at + 1 WHERE position > \(kept.position)"
            )

            await alice.untilResync()
            #expect(try await test.store.head(of: test.customer.id).epoch != kept.epoch)
        }
    }

    @Test("What stands beyond the followed end is no continuation of it", arguments: TestEngine.allCases)
    func readOn(_ engine: TestEngine) async throws {
        try await withFollowed(on: engine) { test in
            try await test.service.fill(test.thread, by: "bob", count: 4)
            test.feed.tell(.poll)
            // Asked twice: the reading comes between.
            for _ in 0..<2 { try await test.feed.verified() }
            #expect(try await test.hasNewEpoch())
        }
    }

    @Test("An own commit at a position that was followed before proves it", arguments: TestEngine.allCases)
    func ownCommits(_ engine: TestEngine) async throws {
        try await withFollowed(on: engine) { test in
            try await test.service.fill(test.thread, by: "bob", count: 4)
            let own = try await test.service.store.entries(
                of: test.service.customer.id, after: test.kept.position, limit: 10)
            test.feed.tell(.committed(own.map { CommittedEntry($0, origin: nil) }))
            try await test.feed.verified()
            #expect(try await test.hasNewEpoch())
        }
    }

    @Test(
        "An own commit that was read before it is handed over proves nothing", arguments: TestEngine.allCases)
    func readBefore(_ engine: TestEngine) async throws {
        try await withFollowed(on: engine, loses: false) { test in
            let own = try await test.service.store.entries(
                of: test.service.customer.id, after: test.kept.position, limit: 10)
            let empty: [UInt8] = []
            // A message that was taken back since is still the same entry.
            try await test.service.store.database.query(
                """
                UPDATE entry SET kind = \(StoredContent.Kind.recalledMessage.rawValue), body = \(empty)
                WHERE position > \(test.kept.position)
                """)
            test.feed.tell(.committed(own.map { CommittedEntry($0, origin: nil) }))
            test.feed.tell(.poll)
            for _ in 0..<2 { try await test.feed.verified() }
            #expect(try await test.hasNewEpoch() == false)
        }
    }

    @Test(
        "An own commit over a new connection is followed only after a look at the log",
        arguments: TestEngine.allCases)
    func reconnected(_ engine: TestEngine) async throws {
        try await withFollowed(on: engine) { test in
            try await test.service.fill(test.thread, by: "bob", count: 3)
            let database = HookedDatabase(test.service.store.database) { _ in }
            let store = Store(database: database)
            let standing = ServerStanding()
            let heartbeat = Heartbeat(
                store: store, standing: standing, version: "1", times: ClusterTimes(), whenDrainRequested: {})
            try await heartbeat.register(as: "one")
            let isCommitted = Watched(false)
            let appender = LogAppender(
                customer: test.service.customer.id, store: store, standing: standing, work: test.work,
                metrics: LogMetrics(MetricRegistry()), sent: SentRequests(), verify: test.feed.verified,
                suspect: { test.feed.tell(.verify(nil)) },
                committed: { entries in
                    test.feed.tell(.committed(entries))
                    isCommitted.change { $0 = true }
                })

            database.reconnect()
            let bob = try await test.service.user("bob").id
            appender.mark(NewReceipt(thread: test.thread, user: bob, delivered: 1, read: 1), origin: nil)
            await isCommitted.until { $0 }
            try await test.feed.verified()
            #expect(try await test.hasNewEpoch())
        }
    }

    private struct Followed {
        let service: ServiceUnderTest
        let work: BackgroundWork
        let feed: CustomerFeed
        let thread: MessageThread.ID
        let kept: LogHead

        func hasNewEpoch() async throws -> Bool {
            try await service.store.head(of: service.customer.id).epoch != kept.epoch
        }
    }

    /// Runs the body with a feed that has followed a log, of which three entries are gone then; no poll runs beside it.
    private func withFollowed(
        on engine: TestEngine, loses: Bool = true, _ body: (Followed) async throws -> Void
    ) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let work = BackgroundWork()
            let feed = CustomerFeed(
                customer: test.customer.id, store: test.store, work: work,
                metrics: LogMetrics(MetricRegistry()),
                sessionDirectory: SessionDirectory(store: test.store, policy: SessionPolicy()),
                sent: SentRequests(), catchUps: .forCatchUps { work.start($0) })
            async let running: Void = work.run()
            let kept = try await test.store.head(of: test.customer.id)
            try await feed.verified()
            try await test.fill(thread, by: "alice", count: 3)
            feed.tell(.poll)
            for _ in 0..<2 { try await feed.verified() }
            #expect(feed.followedPosition == kept.position + 3)
            if loses { try await test.lose(after: kept, in: thread, count: 3) }
            try await body(Followed(service: test, work: work, feed: feed, thread: thread, kept: kept))
            work.finish()
            await running
        }
    }
}
