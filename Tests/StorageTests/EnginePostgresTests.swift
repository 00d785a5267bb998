import PostgresDatabase
import SQLDatabase
import TestSupport
import Testing

@Suite("PostgreSQL through libpq")
struct EnginePostgresTests {
    /// For statements that sleep: on a busy machine they must not meet the usual deadline.
    private static var patient: PostgresLimits {
        var limits = PostgresLimits()
        limits.statementDeadline = .seconds(30)
        return limits
    }

    @Test("Arrays arrive as arrays, element for element")
    func arrays() async throws {
        try await withDatabase(on: .postgres) { database in
            let integers: [Int64] = [1, Int64.min, Int64.max]
            let texts = ["", "ä 👍", "it's"]
            let blobs: [[UInt8]] = [[], [0, 255], Array("x".utf8)]
            let rows = try await database.query(
                """
                SELECT i, t, b, u FROM unnest(\(integers), \(texts), \(blobs), \(SQLValue.textBlobs(texts)))
                AS x(i, t, b, u)
                """)
            #expect(try rows.map { try $0.int(0) } == integers)
            #expect(try rows.map { try $0.string(1) } == texts)
            #expect(try rows.map { try $0.bytes(2) } == blobs)
            #expect(try rows.map { try $0.text(ofBlob: 3) } == texts)
            try await #expect(database.query("SELECT unnest(\([String]()))").isEmpty)
        }
    }

    @Test("A statement beyond its deadline has an unknown outcome, and the next one works")
    func deadline() async throws {
        var limits = PostgresLimits()
        limits.statementDeadline = .milliseconds(300)
        try await withPostgres(limits) { database in
            let error = await #expect(throws: SQLError.self) {
                try await database.query("SELECT pg_sleep(30)")
            }
            #expect(error?.isUnknownOutcome == true)
            try await #expect(database.query("SELECT 1").rowCount == 1)
            let rolledBack = await #expect(throws: SQLError.self) {
                try await database.write { _ = try $0.run("SELECT pg_sleep(30)") }
            }
            guard case .unavailable = rolledBack else {
                Issue.record("a transaction that never committed: \(String(describing: rolledBack))")
                return
            }
        }
    }

    @Test("A statement that outlives its prepared form is run again")
    func stalePreparedStatement() async throws {
        var limits = PostgresLimits()
        limits.pipelinedConnections = 1
        try await withPostgres(limits) { database in
            try await database.query("CREATE TABLE t (a bigint)")
            try await database.query("INSERT INTO t VALUES (5)")
            for _ in 0..<2 { try await #expect(database.query("SELECT * FROM t").columns == ["a"]) }
            try await database.query("ALTER TABLE t ADD COLUMN b bigint")
            try await #expect(database.query("SELECT * FROM t").columns == ["a", "b"])
            try await database.query("DEALLOCATE ALL")
            try await #expect(database.query("SELECT * FROM t").columns == ["a", "b"])
        }
    }

    @Test("Two transactions that deadlock both succeed in the end")
    func deadlock() async throws {
        try await withPostgres(Self.patient) { database in
            try await database.query("CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL)")
            try await database.query("INSERT INTO t VALUES (1, 0), (2, 0)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (first, second) in [(1, 2), (2, 1)] {
                    group.addTask {
                        try await database.write { session in
                            try session.run("UPDATE t SET n = n + 1 WHERE id = \(first)")
                            try session.run("SELECT pg_sleep(0.3)")
                            try session.run("UPDATE t SET n = n + 1 WHERE id = \(second)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await #expect(database.query("SELECT sum(n)::int8 FROM t")[0].int(0) == 4)
        }
    }

    @Test(
        "A statement that waits too long for a lock is in conflict, not wrong, and succeeds once the lock is gone"
    )
    func lockThatTakesTooLong() async throws {
        try await withPostgres(Self.patient) { database in
            try await database.query("CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL)")
            try await database.query("INSERT INTO t VALUES (1, 0)")
            async let holder: Void = database.write { session in
                try session.run("UPDATE t SET n = 1 WHERE id = 1")
                try session.run("SELECT pg_sleep(4)")
            }
            // The lock is held once the sleep has begun.
            let sleeper: SQL = """
                SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'
                """
            let patience = ContinuousClock.now + .seconds(20)
            while try await database.query(sleeper).isEmpty, ContinuousClock.now < patience {}

            let error = await #expect(throws: SQLError.self) {
                try await database.query("UPDATE t SET n = 2 WHERE id = 1")
            }

            guard case .conflict("55P03", _) = error else {
                Issue.record("expected a conflict, got \(String(describing: error))")
                return
            }
            try await holder
            try await #expect(database.query("UPDATE t SET n = 2 WHERE id = 1").affectedRows == 1)
        }
    }

    @Test("A transaction whose failed statement was ignored is not taken for committed")
    func ignoredFailure() async throws {
        try await withDatabase(on: .postgres) { database in
            try await database.query("CREATE TABLE t (id bigint PRIMARY KEY)")
            let error = await #expect(throws: SQLError.self) {
                try await database.write { session in
                    try session.run("INSERT INTO t VALUES (1)")
                    _ = try? session.run("INSERT INTO t VALUES (1)")
                }
            }
            guard case .statement("25P02", _) = error else {
                Issue.record("expected 25P02, got \(String(describing: error))")
                return
            }
        }
    }

    @Test(
        "A URL that cannot work is refused with a reason that holds no password",
        arguments: [
            "mysql://root:hunter2@localhost/x", "postgresql://user:hunter2@localhost/x?colour=red",
            "postgresql://user:hun%ter2@localhost/x",
        ])
    func badURLs(_ url: String) {
        let error = #expect(throws: SQLError.self) { try PostgresDatabase(url: url, logger: quietLogger) }
        guard case .misconfigured(let advice) = error else {
            Issue.record("expected misconfigured, got \(String(describing: error))")
            return
        }
        #expect(!advice.contains("ter2"))
    }

    @Test("Connecting tells what is wrong: nobody there, no such database, no such user")
    func connecting() async throws {
        let server = try PostgresServer.shared()
        let cases = [
            ("postgresql://postgres@127.0.0.1:1/x", "cannot be reached"),
            (server.url(database: "nowhere"), "has no such database"),
            ("postgresql://nobody@127.0.0.1:\(server.port)/postgres", "has no such user"),
        ]
        for (url, advice) in cases {
            let database = try PostgresDatabase(url: url, logger: quietLogger)
            let error = await #expect(throws: SQLError.self) { try await database.connect() }
            #expect("\(error!)".contains(advice))
            await database.close()
        }
    }
}

func withPostgres(
    _ limits: PostgresLimits, _ body: (PostgresDatabase) async throws -> Void
) async throws {
    try await withPostgres(limits, url: PostgresServer.shared().createDatabase(), body)
}

func withPostgres(
    _ limits: PostgresLimits, url: String, _ body: (PostgresDatabase) async throws -> Void
) async throws {
    let database = try PostgresDatabase(url: url, limits: limits, logger: quietLogger)
    do { try await body(database) } catch {
        await database.close()
        throw error
    }
    await database.close()
}

extension SQLError {
    var isUnknownOutcome: Bool { if case .unknownOutcome = self { true } else { false } }
    var isUnavailable: Bool { if case .unavailable = self { true } else { false } }
}
