import Domain
import PostgresDatabase
import SQLDatabase
import Store
import TestSupport
import Testing

/// What a promise is worth when a standby takes over. The first of the two traps that the append is built around:
/// PostgreSQL reports success for a commit whose wait for the standby was cancelled.
@Suite("An append and its standby", .serialized)
struct ReplicationTests {
    /// Short, so that giving up is quick; it is the same rule with any length.
    private static let deadline = Duration.seconds(1)
    private static let attempts = 4

    @Test(
        "F20: a commit whose wait is cancelled, and every repeat of it, stays unknown until the standby has it; after a failover nothing that was promised is missing",
        .timeLimit(.minutes(2)))
    func cancelledWait() async throws {
        try await withPair { pair, store in
            let thread = try await store.thread(store.alice, store.bob)
            let before = try await store.say("replicated", in: thread, by: store.alice)
            let id = ClientID.random()
            try pair.cut()

            async let outcome = refusal {
                try await store.say("cut off", in: thread, by: store.alice, clientID: id)
            }
            var cancelled = 0
            while cancelled == 0 { cancelled = try pair.cancelWaits(of: "asm_append") }
            #expect(await outcome?.isUnknownOutcome == true)
            let visible = try await store.log().compactMap(\.text)
            #expect(
                visible == ["replicated", "cut off"],
                "the trap: it is there for all to see, and not on the standby")
            for _ in 1...Self.attempts {
                let repeated = await refusal {
                    try await store.say("cut off", in: thread, by: store.alice, clientID: id)
                }
                #expect(repeated?.isUnknownOutcome == true, "promised what a failover loses")
            }

            try pair.failOver()
            let stored = try await eventually { try await store.log().compactMap(\.text) }
            #expect(stored == ["replicated"])
            let again = try await eventually {
                try await store.say("cut off", in: thread, by: store.alice, clientID: id)
            }
            #expect(!again.replayed && again.number == before.number + 1)
            #expect(try await store.log().compactMap(\.text) == ["replicated", "cut off"])
        }
    }

    @Test(
        "F19: without its standby nothing is promised, within an own deadline; when the standby is back the repeat is a replay",
        .timeLimit(.minutes(2)))
    func standbyGone() async throws {
        try await withPair { pair, store in
            let thread = try await store.thread(store.alice, store.bob)
            let id = ClientID.random()
            try pair.cut()

            let began = ContinuousClock.now
            let outcome = await refusal {
                try await store.say("once", in: thread, by: store.alice, clientID: id)
            }
            #expect(outcome?.isUnknownOutcome == true)
            #expect(ContinuousClock.now - began < Self.deadline * 3)
            #expect(try await store.log().compactMap(\.text) == [], "visible before the standby has it")

            try pair.heal()
            let again = try await eventually {
                try await store.say("once", in: thread, by: store.alice, clientID: id)
            }
            #expect(again.replayed)
            #expect(try await store.log().compactMap(\.text) == ["once"])
        }
    }

    @Test("a standby is never read from: it is refused as a database", .timeLimit(.minutes(1)))
    func standbyRefused() async throws {
        let pair = try ReplicatedPostgres(synchronous: false)
        defer { pair.stop() }
        try await withPostgres(PostgresLimits(), url: pair.standby.url(database: "postgres")) { database in
            let error = await #expect(throws: SQLError.self) { try await database.connect() }
            #expect("\(error!)".contains("only a read-only server was found"))
        }
    }

    private func withPair(_ body: (ReplicatedPostgres, StoreUnderTest) async throws -> Void) async throws {
        let pair = try ReplicatedPostgres(synchronous: true)
        defer { pair.stop() }
        var limits = PostgresLimits()
        limits.statementDeadline = Self.deadline
        limits.waitingTime = .seconds(3)
        try await withPostgres(limits, url: pair.createDatabase()) { database in
            try await body(pair, StoreUnderTest(database))
        }
    }

    private func refusal<T>(_ body: () async throws -> T) async -> SQLError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? SQLError }
    }

    /// Repeats, as clients do, until it is answered.
    private func eventually<T>(_ body: () async throws -> T) async throws -> T {
        let end = ContinuousClock.now + .seconds(30)
        while true {
            do { return try await body() } catch let error as SQLError {
                guard ContinuousClock.now < end else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
