import PostgresDatabase
import SQLDatabase
import SQLiteDatabase
import TestSupport
import Testing

@Suite("Lanes of a database", .serialized)
struct LaneTests {
    /// For reads that sleep: one second is short on a busy machine, and these are to be in the way.
    private static var slowReads: PostgresLimits {
        var limits = PostgresLimits()
        limits.readStatementTime = .seconds(20)
        limits.readTime = .seconds(30)
        limits.readBusyTime = .seconds(20)
        limits.statementDeadline = .seconds(30)
        return limits
    }

    @Test("While every connection for reads is busy, appends and the heartbeat pass")
    func apart() async throws {
        try await withPostgres(Self.slowReads) { database in
            try await database.query("CREATE TABLE t (id bigint)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    group.addTask { _ = try await database.query("SELECT 1 FROM pg_sleep(2)", on: .reads) }
                    group.addTask { try await database.read { _ = try $0.run("SELECT 1 FROM pg_sleep(2)") } }
                }
                try await untilSleeping(6, database)

                for number in 0..<20 {
                    try await database.query("INSERT INTO t VALUES (\(number))")
                    try await database.write { _ = try $0.run("INSERT INTO t VALUES (\(number))") }
                    try await database.query("UPDATE t SET id = id WHERE id = \(number)", on: .heartbeat)
                    try await database.write(on: .heartbeat) { _ = try $0.run("SELECT 1") }
                }

                let sleeping = try await sleeping(database)
                #expect(sleeping == 6, "the reads were in the way all the time")
                // The reads end by themselves; what they answer is not the point here.
                while let result = await group.nextResult() { _ = result }
            }
        }
    }

    private static let sleeps: SQL = """
        datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid()
        """

    private func sleeping(_ database: PostgresDatabase) async throws -> Int64 {
        try await database.query("SELECT count(*) FROM pg_stat_activity WHERE \(sql: Self.sleeps)")[0].int(0)
    }

    private func untilSleeping(_ count: Int64, _ database: PostgresDatabase) async throws {
        let patience = ContinuousClock.now + .seconds(20)
        while try await sleeping(database) < count {
            try #require(ContinuousClock.now < patience, "\(count) reads should be under way")
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test("A read that is too slow is ended by the server: its connection serves the next")
    func statementTimeout() async throws {
        var limits = PostgresLimits()
        limits.readStatementTime = .milliseconds(200)
        limits.readConnections = 1
        limits.readSessions = 1
        try await withPostgres(limits) { database in
            func backend() async throws -> [Int64] {
                let single = try await database.query("SELECT pg_backend_pid()::bigint", on: .reads)[0].int(0)
                let several = try await database.read {
                    try $0.run("SELECT pg_backend_pid()::bigint")[0].int(0)
                }
                return [single, several]
            }
            let before = try await backend()

            let single = await #expect(throws: SQLError.self) {
                try await database.query("SELECT pg_sleep(30)", on: .reads)
            }
            let several = await #expect(throws: SQLError.self) {
                try await database.read { _ = try $0.run("SELECT pg_sleep(30)") }
            }

            for error in [single, several] {
                guard case .overloaded? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            try await #expect(backend() == before)
        }
    }

    @Test("A statement that is no read has no such time")
    func appendsAreNotTimed() async throws {
        var limits = PostgresLimits()
        limits.readStatementTime = .milliseconds(100)
        try await withPostgres(limits) { database in
            try await #expect(database.query("SELECT 1 FROM pg_sleep(0.5)").rowCount == 1)
            let rows = try await database.write { try $0.run("SELECT 1 FROM pg_sleep(0.5)").rowCount }
            #expect(rows == 1)
        }
    }

    @Test("Statements of one read that take too long together end too")
    func wholeRead() async throws {
        var limits = PostgresLimits()
        limits.readTime = .milliseconds(300)
        try await withPostgres(limits) { database in
            let error = await #expect(throws: SQLError.self) {
                try await database.read { session in
                    for _ in 0..<100 { try session.run("SELECT pg_sleep(0.1)") }
                }
            }
            guard case .overloaded? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test("A read stuck in a server that stands still takes its own connection along, and no append's")
    func stuck() async throws {
        var limits = PostgresLimits()
        limits.readStatementTime = .seconds(60)
        limits.statementDeadline = .seconds(1)
        try await withPostgres(limits) { database in
            let connections = database.connections
            let error = await #expect(throws: SQLError.self) {
                try await database.query("SELECT pg_sleep(30)", on: .reads)
            }
            #expect(error?.isUnknownOutcome == true)
            try await database.query("SELECT 1")
            #expect(database.connections <= max(connections, PostgresLimits().pipelinedConnections))
        }
    }

    @Test("On SQLite a read that is too slow is ended, and the next one works")
    func sqlite() async throws {
        try await withTemporaryFolder { folder in
            let database = try SQLiteDatabase(
                path: folder + "/slow.sqlite", readTime: .milliseconds(300), logger: quietLogger)
            let endless: SQL = """
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n
                """
            let error = await #expect(throws: SQLError.self) {
                try await database.read { _ = try $0.run(endless) }
            }
            guard case .overloaded? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            for _ in 0..<2 * SQLiteDatabase.readerLimit {
                try await #expect(database.query("SELECT 1").rowCount == 1)
            }
            await database.close()
        }
    }

    @Test("SQLite refuses reads beyond its queue, and takes them when it is empty")
    func sqliteQueue() async throws {
        try await withTemporaryFolder { folder in
            let database = try SQLiteDatabase(
                path: folder + "/queue.sqlite", readTime: .seconds(60), logger: quietLogger)
            let gate = Gate()
            let refused = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<SQLiteDatabase.waitingReads + 100 {
                    group.addTask {
                        do {
                            try await database.read { _ in gate.wait() }
                            return false
                        } catch SQLError.overloaded { return true } catch { return false }
                    }
                }
                var refused = 0
                while refused < 100, let isRefused = await group.next() { refused += isRefused ? 1 : 0 }
                for _ in 0..<SQLiteDatabase.waitingReads { gate.open() }
                return await group.reduce(into: refused) { $0 += $1 ? 1 : 0 }
            }
            #expect(refused == 100)
            try await #expect(database.query("SELECT 1").rowCount == 1)
            await database.close()
        }
    }
}
