import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

/// What clients ask costs what they get, not what exists.
@Suite("Reads among 100,000 threads", .serialized)
struct BoundedReadTests {
    private static let threads = 100_000
    /// Pages of 8 KiB that PostgreSQL may touch for one statement: a look-up takes about four.
    private static let pages = 40_000

    /// Alice has 100,000 threads; Bob has the two that he shares with Carol, between and after hers.
    private struct Fixture {
        let test: StoreUnderTest
        let recorder: RecordingDatabase
        let shared: [MessageThread.ID]
        let head: LogPosition
    }

    private func withFixture(on engine: TestEngine, _ body: (Fixture) async throws -> Void) async throws {
        try await withDatabase(on: engine) { database in
            let recorder = RecordingDatabase(database)
            let test = try await StoreUnderTest(recorder)
            let old = try await test.thread(test.bob, test.carol)
            try await test.store.makeThreads(Self.threads, of: test.alice.id, at: test.customer.id)
            let new = try await test.thread(test.bob, test.carol)
            if engine == .postgres {
                for table: SQL in ["entry", "participant", "thread"] {
                    try await database.query("ANALYZE " + table)
                }
            }
            recorder.forget()
            try await body(
                Fixture(test: test, recorder: recorder, shared: [old, new], head: try await test.head))
        }
    }

    @Test(
        "The inbox of who has them all, and of who has two, is right page by page",
        arguments: TestEngine.allCases)
    func pages(_ engine: TestEngine) async throws {
        try await withFixture(on: engine) { fixture in
            let test = fixture.test
            func page(_ user: User, _ before: LogPosition?, _ limit: Int) async throws -> InboxPage {
                try await test.store.inbox(of: user.id, at: test.customer.id, before: before, limit: limit)
            }

            let first = try await page(test.alice, nil, 200)
            let second = try await page(test.alice, first.next, 200)
            let positions = (first.threads + second.threads).map(\.thread.lastPosition)
            #expect(positions == Array((fixture.head - 400..<fixture.head).reversed()))
            #expect(first.threads.allSatisfy { $0.participantCount == 1 && $0.unread == 0 })

            let bob = try await page(test.bob, nil, 200)
            #expect(bob.threads.map(\.thread.id) == fixture.shared.reversed())
            #expect(bob.threads.allSatisfy { $0.participants.map(\.user.name) == ["Bob", "Carol"] })
            #expect(bob.next == nil)
        }
    }

    @Test(
        "Who has many threads below 30,000 newer ones of others pages on until they come",
        arguments: TestEngine.allCases)
    func buried(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let (store, customer) = (test.store, test.customer.id)
            try await store.makeThreads(InboxWalk.fewThreads + 100, of: test.alice.id, at: customer)
            try await store.makeThreads(InboxWalk.walked + 10_000, of: test.bob.id, at: customer)

            var found: [MessageThread.ID] = []
            var before: LogPosition?
            var pages = 0
            repeat {
                let page = try await store.inbox(of: test.alice.id, at: customer, before: before, limit: 200)
                found += page.threads.map(\.thread.id)
                before = page.next
                pages += 1
            } while before != nil && pages < 100

            #expect(found.count == InboxWalk.fewThreads + 100)
            #expect(Set(found).count == found.count)
            // One page that ends without a thread, and eleven of 200.
            #expect(pages == 12)
        }
    }

    @Test("No statement of the inbox and of catching up looks at all threads", arguments: TestEngine.allCases)
    func bounded(_ engine: TestEngine) async throws {
        try await withFixture(on: engine) { fixture in
            let (test, recorder) = (fixture.test, fixture.recorder)
            let (store, customer) = (test.store, test.customer.id)
            for user in [test.alice.id, test.bob.id, test.dave.id] {
                _ = try await store.inbox(of: user, at: customer, before: nil, limit: 200)
                _ = try await store.inbox(of: user, at: customer, before: fixture.head / 2, limit: 200)
                _ = try await store.entries(
                    for: user, of: customer, after: fixture.head - 2_000, upTo: fixture.head, limit: 100)
                _ = try await store.entryCount(
                    for: user, of: customer, after: fixture.head - 10_000, upTo: fixture.head, limit: 2_001)
            }

            #expect(recorder.statements.count > 20)
            var most = 0
            for statement in recorder.statements {
                let text = statement.rendered(for: recorder.engine).text
                switch engine {
                case .postgres:
                    let plan = try await recorder.query("EXPLAIN (ANALYZE, BUFFERS) " + statement, on: .reads)
                        .map { try $0.string(0) }
                    let touched = plan.compactMap(Self.buffers).first ?? 0
                    most = max(most, touched)
                    #expect(touched < Self.pages, "\(text)\n\(plan.joined(separator: "\n"))")
                case .sqlite:
                    let plan = try await recorder.query("EXPLAIN QUERY PLAN " + statement).map {
                        try $0.string(3)
                    }
                    let scans = plan.contains { line in
                        ["e", "p", "t", "thread", "entry", "participant"].contains { line == "SCAN \($0)" }
                    }
                    #expect(!scans, "\(text)\n\(plan.joined(separator: "\n"))")
                }
            }
            if engine == .postgres { #expect(most > 100, "the plans tell what they touch") }
        }
    }

    /// How many pages a plan says that it touched: `Buffers: shared hit=3 read=2`, of the whole in its first such line.
    private static func buffers(_ line: String) -> Int? {
        guard line.contains("Buffers: shared") else { return nil }
        return line.split(separator: " ").reduce(into: 0) { sum, word in
            let pair = word.split(separator: "=")
            guard pair.count == 2, pair[0] == "hit" || pair[0] == "read" else { return }
            sum += Int(pair[1]) ?? 0
        }
    }

    @Test(
        "100,000 threads slow the catch-up of nobody down: it is decided by the log",
        arguments: TestEngine.allCases)
    func catchUp(_ engine: TestEngine) async throws {
        try await withFixture(on: engine) { fixture in
            let (test, store) = (fixture.test, fixture.test.store)
            let after = fixture.head - 3_000
            func count(_ user: User) async throws -> Int {
                try await store.entryCount(
                    for: user.id, of: test.customer.id, after: after, upTo: fixture.head, limit: 2_001)
            }

            try await #expect(count(test.alice) == 2_001)
            try await #expect(count(test.bob) == 1)
            try await #expect(count(test.dave) == 0)
            try await #expect(test.seen(by: test.bob, after: after).map(\.thread) == [fixture.shared[1]])
        }
    }
}
