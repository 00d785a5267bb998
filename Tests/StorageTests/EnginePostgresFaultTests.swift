import PostgresDatabase
import SQLDatabase
import Synchronization
import TestSupport
import Testing

@Suite("PostgreSQL that fails", .serialized)
struct EnginePostgresFaultTests {
    @Test(
        "What was acknowledged before kill -9 of the server is there after, and the pool comes back by itself"
    )
    func killed() async throws {
        let server = try PostgresServer()
        defer { server.stop() }
        var limits = PostgresLimits()
        limits.waitingTime = .seconds(20)
        limits.statementDeadline = .seconds(30)
        try await withPostgres(limits, url: server.createDatabase()) { database in
            try await database.query("CREATE TABLE t (id bigint PRIMARY KEY)")
            try await database.write { try $0.run("INSERT INTO t VALUES (-1)") }
            var heard = database.notifications(on: "news").makeAsyncIterator()
            #expect(await heard.next() == "")
            let (progress, continuation) = AsyncStream.makeStream(of: Int.self)
            let isOver = Mutex(false)
            async let outcomes = load(database, progress: continuation) { isOver.withLock { $0 } }
            for await done in progress where done == 200 { break }
            // Callers may all be between two statements at the moment of the kill; this one surely is not.
            async let underWay = refusal {
                try await database.query("INSERT INTO t SELECT -3 FROM pg_sleep(60)")
            }
            try await untilRuns("pg_sleep(60)", database)
            try server.kill()
            try server.start()
            // Who had nothing under way when the server died waits for it, and would go on for long.
            isOver.withLock { $0 = true }
            let (acknowledged, failed) = await outcomes
            let errors = failed + [await underWay].compactMap { $0 }
            #expect(!errors.isEmpty)
            #expect(await underWay?.isUnknownOutcome == true)
            #expect(errors.allSatisfy { $0.isUnknownOutcome || $0.isUnavailable }, "\(errors.prefix(3))")
            let rows = try await database.query("SELECT id FROM t")
            let stored = Set(try rows.map { try $0.int(0) })
            #expect(acknowledged.subtracting(stored).isEmpty)
            #expect(!stored.contains(-3))
            try await database.write { try $0.run("INSERT INTO t VALUES (-2)") }
            #expect(await heard.next() == "", "listeners are told that they may have missed something")
        }
    }

    @Test("Without a server a statement is refused as not executed, within its waiting time")
    func unreachable() async throws {
        var limits = PostgresLimits()
        limits.waitingTime = .milliseconds(300)
        try await withPostgres(limits, url: "postgresql://postgres@127.0.0.1:1/x") { database in
            let error = await #expect(throws: SQLError.self) { try await database.query("SELECT 1") }
            #expect(error?.isUnavailable == true)
            let other = await #expect(throws: SQLError.self) { try await database.write { _ in } }
            #expect(other?.isUnavailable == true)
        }
    }

    @Test("A full queue refuses at once")
    func overloaded() async throws {
        var limits = PostgresLimits()
        limits.waitingStatements = 10
        limits.waitingTime = .milliseconds(500)
        try await withPostgres(limits, url: "postgresql://postgres@127.0.0.1:1/x") { database in
            let errors = await withTaskGroup(of: (any Error)?.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        do {
                            try await database.query("SELECT 1")
                            return nil
                        } catch { return error }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            let refused = errors.count { error in
                if case .overloaded = error as? SQLError { true } else { false }
            }
            #expect(refused == 20)
        }
    }

    @Test("A server that takes no writes is told apart")
    func readOnlyServer() async throws {
        let server = try PostgresServer(settings: ["default_transaction_read_only=on"])
        defer { server.stop() }
        try await withPostgres(PostgresLimits(), url: server.url(database: "postgres")) { database in
            let error = await #expect(throws: SQLError.self) { try await database.connect() }
            #expect("\(error!)".contains("only a read-only server was found"))
        }
    }

    @Test("A commit whose wait for the standby is cancelled is unknown, not a success")
    func cancelledReplicationWait() async throws {
        let server = try PostgresServer()
        defer { server.stop() }
        var limits = PostgresLimits()
        limits.statementDeadline = .seconds(60)
        let url = try await server.createDatabase()
        try await withPostgres(limits, url: url) { database in
            try await database.query("CREATE TABLE t (id bigint PRIMARY KEY)")
            try server.set("synchronous_standby_names", to: "absent")
            async let single: SQLError? = refusal { try await database.query("INSERT INTO t VALUES (1)") }
            async let several: SQLError? = refusal {
                try await database.write { _ = try $0.run("INSERT INTO t VALUES (2)") }
            }
            try await cancelWaitingCommits(2, database)
            #expect(await single?.isUnknownOutcome == true)
            #expect(await several?.isUnknownOutcome == true)
        }
    }

    /// Cancels commits that wait for a standby until so many have been.
    private func cancelWaitingCommits(_ count: Int64, _ database: PostgresDatabase) async throws {
        var cancelled: Int64 = 0
        let patience = ContinuousClock.now + .seconds(20)
        while cancelled < count {
            try #require(ContinuousClock.now < patience, "\(count) commits should wait for the standby")
            try await Task.sleep(for: .milliseconds(10))
            cancelled += try await database.query(
                """
                SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE wait_event = 'SyncRep' AND datname = current_database()
                """)[0].int(0)
        }
    }

    /// Waits until the server works at a statement with these words; asks on a connection that nothing waits on.
    private func untilRuns(_ words: String, _ database: PostgresDatabase) async throws {
        var isRunning = false
        let patience = ContinuousClock.now + .seconds(20)
        while !isRunning {
            try #require(ContinuousClock.now < patience, "the server should work at \(words)")
            try await Task.sleep(for: .milliseconds(10))
            isRunning = try await database.read { session in
                try session.run(
                    """
                    SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
                        AND position(\(words) IN query) > 0
                    """)[0].int(0) > 0
            }
        }
    }

    private func refusal<T>(_ body: () async throws -> T) async -> SQLError? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? SQLError }
    }

    /// Inserts ids from 32 callers until the first error of each, or until it is over.
    private func load(
        _ database: PostgresDatabase, progress: AsyncStream<Int>.Continuation,
        until isOver: @escaping @Sendable () -> Bool
    ) async -> (acknowledged: Set<Int64>, errors: [SQLError]) {
        await withTaskGroup(of: (Set<Int64>, SQLError?).self) { group in
            for caller in 0..<32 {
                group.addTask {
                    var done: Set<Int64> = []
                    for number in 0..<100_000 where !isOver() {
                        let id = Int64(caller * 1_000_000 + number)
                        do { try await database.query("INSERT INTO t VALUES (\(id))") } catch {
                            return (done, error as? SQLError)
                        }
                        done.insert(id)
                        if caller == 0 { progress.yield(number) }
                    }
                    return (done, nil)
                }
            }
            var sum: (acknowledged: Set<Int64>, errors: [SQLError]) = ([], [])
            for await (done, error) in group {
                sum.acknowledged.formUnion(done)
                if let error { sum.errors.append(error) }
            }
            return sum
        }
    }
}
