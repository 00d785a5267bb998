import Failpoints
package import SQLDatabase

extension Store {
    /// Every migration, oldest first. Numbered, never edited once released; contract one release after expand.
    package static let migrations: [Migration] = [
        Migration(
            number: 1, name: "messages",
            postgres: schema1(blob: "bytea", fill: { " WITH (fillfactor=\($0))" }) + postgresAppend,
            sqlite: schema1(blob: "blob", fill: { _ in "" })),
        clusterMigration,
        Migration(number: 3, name: "events", .expands, sql: eventSchema),
        Migration(number: 4, name: "newest threads", .expands, sql: newestThreads),
        urgentMigration,
        stayMigration,
    ]

    /// Brings the database to this version's schema; safe to call on every start and by several servers at once.
    /// - Returns: the numbers of the migrations that were applied now.
    @discardableResult
    package func migrate() async throws -> [Int] {
        try await migrator.migrate(database)
    }

    /// Refuses a schema with which this version cannot work: it is newer, and no longer holds what this one needs.
    package func checkSchema() async throws { try await migrator.checkCompatible(database) }

    /// Sets an empty database up; any other must have this version's schema or a later one that suits it.
    package func prepareForCommand() async throws {
        let current = try await migrator.currentSchema(database)
        guard current > 0 else {
            try await migrate()
            return
        }
        guard current >= migrator.newestKnown else {
            throw SQLError.misconfigured(
                """
                the database has schema \(current), and this asm works with \(migrator.newestKnown): upgrade the servers \
                first (docs/upgrading.md), or run `asm migrate`
                """)
        }
        try await checkSchema()
    }

    private var migrator: Migrator {
        #if FAILPOINTS
            if NextVersion.isRunning { return Migrator(Self.migrations + NextSchema.migrations) }
        #endif
        return Migrator(Self.migrations)
    }
}

/// The inbox of who takes part in many threads walks the customer's threads from the newest. And whether a user is in a
/// thread is one look-up in either of the indexes that can tell, so that no plan begins with all of a user's threads.
private let newestThreads = """
    CREATE INDEX thread_newest ON thread (customer_id, last_shown_position);
    CREATE INDEX participant_user_thread ON participant (user_id, thread_id);
    DROP INDEX participant_user
    """

/// Rows that change with every batch leave room on their page, so that updates stay on it (heap-only tuples).
private func schema1(blob: String, fill: (Int) -> String) -> String {
    """
    CREATE TABLE server (
        id bigint PRIMARY KEY,
        address text NOT NULL UNIQUE,
        version text NOT NULL,
        boot \(blob) NOT NULL,
        beat bigint NOT NULL DEFAULT 0,
        started_at bigint NOT NULL,
        last_active bigint NOT NULL
    )\(fill(20));
    CREATE TABLE customer (
        id bigint PRIMARY KEY,
        name text NOT NULL UNIQUE,
        created_at bigint NOT NULL
    );
    CREATE TABLE app_user (
        id bigint PRIMARY KEY,
        customer_id bigint NOT NULL REFERENCES customer,
        login text NOT NULL,
        name text NOT NULL,
        password_hash text NOT NULL,
        disabled smallint NOT NULL DEFAULT 0,
        failed_logins bigint NOT NULL DEFAULT 0,
        locked_until bigint NOT NULL DEFAULT 0,
        created_at bigint NOT NULL,
        UNIQUE (customer_id, login)
    );
    CREATE INDEX app_user_login ON app_user (login);
    CREATE TABLE device (
        id bigint PRIMARY KEY,
        customer_id bigint NOT NULL REFERENCES customer,
        user_id bigint NOT NULL REFERENCES app_user,
        name text NOT NULL,
        created_at bigint NOT NULL
    );
    CREATE INDEX device_user ON device (user_id);
    CREATE TABLE session (
        id bigint PRIMARY KEY,
        customer_id bigint NOT NULL REFERENCES customer,
        user_id bigint NOT NULL REFERENCES app_user,
        device_id bigint NOT NULL REFERENCES device,
        token_hash \(blob) NOT NULL UNIQUE,
        created_at bigint NOT NULL,
        last_used_at bigint NOT NULL,
        expires_at bigint NOT NULL,
        revoked_at bigint
    );
    CREATE INDEX session_user_id ON session (user_id);
    CREATE TABLE log_head (
        customer_id bigint PRIMARY KEY REFERENCES customer,
        epoch \(blob) NOT NULL,
        head bigint NOT NULL DEFAULT 0
    )\(fill(10));
    CREATE TABLE thread (
        id bigint PRIMARY KEY,
        customer_id bigint NOT NULL,
        subject text NOT NULL,
        closed smallint NOT NULL DEFAULT 0,
        created_at bigint NOT NULL,
        last_number bigint NOT NULL DEFAULT 0,
        last_position bigint NOT NULL DEFAULT 0,
        last_shown_position bigint NOT NULL DEFAULT 0
    )\(fill(50));
    CREATE TABLE participant (
        thread_id bigint NOT NULL,
        user_id bigint NOT NULL,
        joined_number bigint NOT NULL,
        left_number bigint,
        delivered_number bigint NOT NULL DEFAULT 0,
        read_number bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (thread_id, user_id)
    )\(fill(50));
    CREATE INDEX participant_user ON participant (user_id);
    CREATE TABLE entry (
        customer_id bigint NOT NULL,
        position bigint NOT NULL,
        thread_id bigint NOT NULL,
        number bigint,
        author_id bigint,
        device_id bigint,
        at bigint NOT NULL,
        body_hash bigint NOT NULL,
        kind smallint NOT NULL,
        priority smallint NOT NULL DEFAULT 0,
        scheme smallint NOT NULL DEFAULT 0,
        replays integer NOT NULL DEFAULT 0,
        client_id \(blob),
        body \(blob) NOT NULL,
        PRIMARY KEY (customer_id, position)
    );
    CREATE UNIQUE INDEX entry_client ON entry (author_id, client_id) WHERE client_id IS NOT NULL;
    CREATE INDEX entry_thread ON entry (thread_id, position);

    """
}
