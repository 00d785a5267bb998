/// One step of the schema; once released it is never edited, only followed by another.
package struct Migration: Sendable {
    /// Which programs go on working on the schema after the step.
    package enum Compatibility: Hashable, Sendable {
        /// It only adds: every program that worked before it does after it.
        case expands
        /// It takes away what programs that know this step no longer use.
        case contracts(since: Int)
        /// It changes what its own program needs changed.
        case breaks
    }

    package let number: Int
    package let name: String
    package let compatibility: Compatibility
    private let postgres: String
    private let sqlite: String

    /// A step both engines can take; `{blob}` stands for the type of bytes (`bytea`, `blob`).
    package init(number: Int, name: String, _ compatibility: Compatibility = .breaks, sql: String) {
        self.number = number
        self.name = name
        self.compatibility = compatibility
        postgres = Self.substituting(sql, blob: "bytea")
        sqlite = Self.substituting(sql, blob: "blob")
    }

    /// A step each engine takes in its own way; `{blob}` stands for the type of bytes.
    package init(
        number: Int, name: String, _ compatibility: Compatibility = .breaks, postgres: String, sqlite: String
    ) {
        self.number = number
        self.name = name
        self.compatibility = compatibility
        self.postgres = Self.substituting(postgres, blob: "bytea")
        self.sqlite = Self.substituting(sqlite, blob: "blob")
    }

    /// The newest step that a program must at least know to work after this one.
    var oldestProgram: Int {
        switch compatibility {
        case .expands: 0
        case .contracts(let since): since
        case .breaks: number
        }
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
/// Several servers may migrate at once: one works, the others wait for it. Each step is one transaction, and waits for
/// no table longer than `lockTimeoutMilliseconds`: what waits for a table holds up all who come after it. The database
/// says of itself which programs it suits, so that version N goes on working while N+1 expands the schema, and stops
/// before it is contracted under it.
package struct Migrator: Sendable {
    /// How often, and how long, a server looks whether another has finished migrating.
    package static let lockPause = Duration.milliseconds(200)
    package static let lockAttempts = 3_000
    /// How long a step may wait for a table that others use, how long until it tries again, and how often it does.
    package static let lockTimeoutMilliseconds = 1_000
    package static let tablePause = Duration.seconds(1)
    package static let tableAttempts = 300
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
        try await prepareVersionTable(database)
        var applied: [Int] = []
        for migration in migrations {
            let engine = database.engine
            let newest = newestKnown
            let done = try await withLock(database) { session in
                let current = try Self.currentSchema(session)
                try Self.check(session, newestKnown: newest)
                guard current < migration.number else { return false }
                try session.runScript(migration.sql(for: engine))
                try session.run(
                    """
                    INSERT INTO schema_version (number, name, at, oldest_program)
                    VALUES (\(migration.number), \(migration.name), \(.now), \(migration.oldestProgram))
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

    /// Refuses a database that a newer program has migrated to something with which this one cannot work.
    package func checkCompatible(_ database: any SQLDatabase) async throws {
        let engine = database.engine
        let newest = newestKnown
        try await database.read { session in
            guard try Self.oldestProgramIsKnown(session, engine) else { return }
            try Self.check(session, newestKnown: newest)
        }
    }

    /// Makes the table, or gives it the column that the first version did not have.
    private func prepareVersionTable(_ database: any SQLDatabase) async throws {
        let engine = database.engine
        try await withLock(database) { session in
            try session.runScript(Self.versionTable)
            guard try !Self.oldestProgramIsKnown(session, engine) else { return }
            try session.runScript("ALTER TABLE schema_version ADD COLUMN oldest_program bigint")
        }
    }

    private static let versionTable = """
        CREATE TABLE IF NOT EXISTS schema_version (
            number bigint PRIMARY KEY, name text NOT NULL, at bigint NOT NULL, oldest_program bigint
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

    private static func oldestProgramIsKnown(_ session: any SQLSession, _ engine: SQLEngine) throws -> Bool {
        let (table, column) = ("schema_version", "oldest_program")
        return switch engine {
        case .postgres:
            try session.run(
                """
                SELECT 1::int8 FROM pg_attribute
                WHERE attrelid = to_regclass(\(table)) AND attname = \(column) AND NOT attisdropped
                """
            ).rowCount > 0
        case .sqlite:
            try session.run("SELECT 1 FROM pragma_table_info(\(table)) WHERE name = \(column)").rowCount > 0
        }
    }

    /// A step of which nothing is known suits only programs that know it.
    private static func check(_ session: any SQLSession, newestKnown: Int) throws {
        let needed = Int(
            try session.run("SELECT coalesce(max(coalesce(oldest_program, number)), 0) FROM schema_version")[
                0
            ]
            .int(0))
        guard needed > newestKnown else { return }
        let current = try currentSchema(session)
        throw SQLError.misconfigured(
            """
            schema \(current) is newer than this asm knows (\(newestKnown)), and needs one that knows \(needed): \
            run asm of the version that migrated it or newer
            """)
    }

    /// Runs the closure in a transaction that no other server's migration overlaps.
    ///
    /// The lock is tried, not waited for, so that no statement exceeds its deadline behind a long migration. A table that
    /// others use is waited for briefly, again and again, so that they get on in between.
    private func withLock<T: Sendable>(
        _ database: any SQLDatabase, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        let engine = database.engine
        var attempts = (lock: 0, table: 0)
        while attempts.lock < Self.lockAttempts {
            do {
                let result: T? = try await database.write { session in
                    if engine == .postgres {
                        try session.runScript("SET LOCAL lock_timeout = \(Self.lockTimeoutMilliseconds)")
                        let lock = try session.run("SELECT pg_try_advisory_xact_lock(\(Self.lockKey))")
                        guard try lock[0].bool(0) else { return nil }
                    }
                    // A conflict would be tried again at once, without a pause in which others get on.
                    do { return try body(session) } catch SQLError.conflict(_, let message) {
                        throw TableInUse(message: message)
                    }
                }
                if let result { return result }
                attempts.lock += 1
                try await Task.sleep(for: Self.lockPause)
            } catch let inUse as TableInUse {
                attempts.table += 1
                guard attempts.table < Self.tableAttempts else {
                    throw SQLError.unavailable(
                        "a table that is to be changed has been in use for too long (\(inUse.message))")
                }
                try await Task.sleep(for: Self.tablePause)
            }
        }
        throw SQLError.unavailable("another server has been migrating this database for too long")
    }
}

/// A step found a table in use for longer than it may wait.
private struct TableInUse: Error {
    let message: String
}
