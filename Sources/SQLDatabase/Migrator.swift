/// One step of the schema; once released it is never edited, only followed by another.
package struct Migration: Sendable {
    package let number: Int
    package let name: String
    private let postgres: String
    private let sqlite: String

    /// A step both engines can take; `{blob}` stands for the type of bytes (`bytea`, `blob`).
    package init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        postgres = Self.substituting(sql, blob: "bytea")
        sqlite = Self.substituting(sql, blob: "blob")
    }

    /// A step each engine takes in its own way; `{blob}` stands for the type of bytes.
    package init(number: Int, name: String, postgres: String, sqlite: String) {
        self.number = number
        self.name = name
        self.postgres = Self.substituting(postgres, blob: "bytea")
        self.sqlite = Self.substituting(sqlite, blob: "blob")
    }

    package func sql(for engine: SQLEngine) -> String {
        switch engine {
        case .postgres: postgres
        case .sqlite: sqlite
        }
    }

    private static func substituting(_ sql: String, blob: String) -> String {
        sql.split(separator: "{blob}", omittingEmptySubsequences: false).joined(separator: blob)
    }
}

/// Brings a database to the newest schema this program knows.
///
/// Several servers may migrate at once: one works, the others wait for it. Each step is one transaction.
package struct Migrator: Sendable {
    /// How often, and how long, a server looks whether another has finished migrating.
    package static let lockPause = Duration.milliseconds(200)
    package static let lockAttempts = 3_000
    /// Names the migration among PostgreSQL's advisory locks.
    static let lockKey: Int64 = 0x6173_6d73_6368_656d

    private let migrations: [Migration]

    /// - Parameter migrations: with distinct numbers; they run in the order of these.
    package init(_ migrations: [Migration]) {
        self.migrations = migrations.sorted { $0.number < $1.number }
    }

    /// The newest schema this program knows; 0 when it knows none.
    package var newestKnown: Int { migrations.last?.number ?? 0 }

    /// Applies what is missing and answers the numbers applied here.
    @discardableResult
    package func migrate(_ database: any SQLDatabase) async throws -> [Int] {
        try await withLock(database) { try $0.runScript(Self.versionTable) }
        var applied: [Int] = []
        for migration in migrations {
            let engine = database.engine
            let newest = newestKnown
            let done = try await withLock(database) { session in
                let current = try Self.currentSchema(session)
                try Self.check(current, newestKnown: newest)
                guard current < migration.number else { return false }
                try session.runScript(migration.sql(for: engine))
                try session.run(
                    """
                    INSERT INTO schema_version (number, name, at)
                    VALUES (\(migration.number), \(migration.name), \(.now))
                    """)
                return true
            }
            if done { applied.append(migration.number) }
        }
        return applied
    }

    /// The number of the newest step applied to the database; 0 for one never migrated.
    package func currentSchema(_ database: any SQLDatabase) async throws -> Int {
        let engine = database.engine
        return try await database.read { session in
            guard try Self.versionTableExists(session, engine) else { return 0 }
            return try Self.currentSchema(session)
        }
    }

    /// Refuses a database that a newer program has migrated.
    package func checkNotNewer(_ database: any SQLDatabase) async throws {
        try Self.check(try await currentSchema(database), newestKnown: newestKnown)
    }

    private static let versionTable = """
        CREATE TABLE IF NOT EXISTS schema_version (
            number bigint PRIMARY KEY, name text NOT NULL, at bigint NOT NULL
        )
        """

    private static func currentSchema(_ session: any SQLSession) throws -> Int {
        Int(try session.run("SELECT coalesce(max(number), 0) FROM schema_version")[0].int(0))
    }

    private static func versionTableExists(_ session: any SQLSession, _ engine: SQLEngine) throws -> Bool {
        let name = "schema_version"
        return switch engine {
        case .postgres:
            try session.run(
                "SELECT 1::int8 FROM pg_tables WHERE schemaname = current_schema() AND tablename = \(name)"
            ).rowCount > 0
        case .sqlite:
            try session.run("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = \(name)").rowCount
                > 0
        }
    }

    private static func check(_ current: Int, newestKnown: Int) throws {
        guard current > newestKnown else { return }
        throw SQLError.misconfigured(
            """
            schema \(current) is newer than this asm knows (\(newestKnown)): \
            run asm of the version that migrated it or newer
            """)
    }

    /// Runs the closure in a transaction that no other server's migration overlaps.
    ///
    /// The lock is tried, not waited for, so that no statement exceeds its deadline behind a long migration.
    private func withLock<T: Sendable>(
        _ database: any SQLDatabase, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        let engine = database.engine
        for _ in 0..<Self.lockAttempts {
            let result: T? = try await database.write { session in
                if engine == .postgres {
                    let lock = try session.run("SELECT pg_try_advisory_xact_lock(\(Self.lockKey))")
                    guard try lock[0].bool(0) else { return nil }
                }
                return try body(session)
            }
            if let result { return result }
            try await Task.sleep(for: Self.lockPause)
        }
        throw SQLError.unavailable("another server has been migrating this database for too long")
    }
}
