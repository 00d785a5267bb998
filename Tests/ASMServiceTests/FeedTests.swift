import Domain
import Observability
import SQLDatabase
import Store
import TestSupport
import Testing

@testable import ASMService

@Suite("Following a log")
struct FeedTests {
    @Test(
        "However many notifications come while the log is read, it is read once more after",
        arguments: TestEngine.allCases)
    func manyNotifications(_ engine: TestEngine) async throws {
        let readings = Watched(0)
        let hold = AnswerHold()
        try await withFeed(on: engine) { text in
            guard text.contains("ORDER BY e.position LIMIT") else { return }
            readings.change { $0 += 1 }
            await hold.pass()
        } body: { feed, work in
            async let running: Void = work.run()
            hold.close()
            feed.tell(.poll)
            await hold.untilHeld()
            for _ in 0..<100 { feed.tell(.poll) }
            hold.open()

            // Asked twice: whatever was told before the first question has been done before the second is answered.
            for _ in 0..<2 { try await feed.verified() }
            #expect(readings.value == 2)
            work.finish()
            await running
        }
    }

    @Test("Whoever asks a feed that has no more work done is told so", .timeLimit(.minutes(1)))
    func askedAtTheEnd() async throws {
        try await withFeed(on: .sqlite) { _ in
        } body: { feed, work in
            work.finish()
            let outcomes = Watched<[String]>([])
            for index in 1...2 {
                Task {
                    do {
                        try await feed.verified()
                        outcomes.change { $0.append("verified") }
                    } catch is CancellationError {
                        outcomes.change { $0.append("cancelled") }
                    } catch { outcomes.change { $0.append("\(error)") } }
                }
                await outcomes.until(within: .seconds(5)) { $0.count == index }
            }
            #expect(outcomes.value == ["cancelled", "cancelled"])
        }
    }

    /// Runs the body with the feed of a new customer's log; its work is the body's to run.
    private func withFeed(
        on engine: TestEngine, answered: @escaping @Sendable (String) async -> Void,
        body: (CustomerFeed, BackgroundWork) async throws -> Void
    ) async throws {
        try await withDatabase(on: engine) { database in
            let store = Store(database: HookedDatabase(database, answered: answered))
            try await store.migrate()
            let customer = try await store.addCustomer(named: "Acme")
            let work = BackgroundWork()
            let feed = CustomerFeed(
                customer: customer.id, store: store, work: work, metrics: LogMetrics(MetricRegistry()),
                sessionDirectory: SessionDirectory(store: store, policy: SessionPolicy()),
                sent: SentRequests(), catchUps: .forCatchUps { work.start($0) })
            try await body(feed, work)
        }
    }
}
