import Domain
import Observability
import SQLDatabase
import Store
import TestSupport
import Testing

@testable import ASMService

@Suite("Contact with the database")
struct ContactTests {
    @Test(
        "A beat is contact as of when it was sent, however late its answer is read",
        arguments: TestEngine.allCases)
    func beat(_ engine: TestEngine) async throws {
        try await withStanding(on: engine) { test in
            test.hold.close()
            async let beat: Void = test.heartbeat.beat()
            await test.hold.untilHeld()
            let asleep = ContinuousClock.now
            test.hold.open()
            await beat

            #expect(test.standing.condition(at: asleep) == .active)
            #expect(
                test.standing.condition(at: asleep + ServerStanding.contactWithin) == .degraded(.noContact))
        }
    }

    @Test("So is an append", arguments: TestEngine.allCases)
    func append(_ engine: TestEngine) async throws {
        try await withStanding(on: engine) { test in
            let work = BackgroundWork()
            let customer = try await test.store.addCustomer(named: "Acme").id
            let appender = LogAppender(
                customer: customer, store: test.store, standing: test.standing, work: work,
                metrics: LogMetrics(MetricRegistry()), sent: SentRequests(), verify: {}, suspect: {},
                committed: { _ in })
            async let running: Void = work.run()
            test.hold.close()
            appender.mark(NewReceipt(thread: .random(), user: .random(), delivered: 1, read: 1), origin: nil)
            await test.hold.untilHeld()
            let asleep = ContinuousClock.now
            test.hold.open()
            work.finish()
            await running

            #expect(test.standing.condition(at: asleep) == .active)
            #expect(
                test.standing.condition(at: asleep + ServerStanding.contactWithin) == .degraded(.noContact))
        }
    }

    @Test("An older sign of life takes nothing back from a newer one")
    func onlyForward() async throws {
        try await withStanding(on: .sqlite) { test in
            let now = ContinuousClock.now
            test.standing.inTouch(since: now + .seconds(2))
            test.standing.inTouch(since: now + .seconds(1))
            #expect(test.standing.condition(at: now + .seconds(6)) == .active)
            #expect(test.standing.condition(at: now + .seconds(7)) == .degraded(.noContact))
        }
    }

    private struct Standing: Sendable {
        let store: Store
        let standing: ServerStanding
        let heartbeat: Heartbeat
        let hold: AnswerHold
    }

    /// Runs the body with a server that has registered and serves.
    private func withStanding(on engine: TestEngine, _ body: (Standing) async throws -> Void) async throws {
        try await withDatabase(on: engine) { database in
            let hold = AnswerHold()
            let store = Store(database: HookedDatabase(database) { _ in await hold.pass() })
            try await store.migrate()
            let standing = ServerStanding()
            let heartbeat = Heartbeat(
                store: store, standing: standing, version: "1", times: ClusterTimes(), whenDrainRequested: {})
            try await heartbeat.register(as: "one")
            try await body(Standing(store: store, standing: standing, heartbeat: heartbeat, hold: hold))
        }
    }
}
