#if FAILPOINTS
    import Failpoints
    import Logging
    import PostgresDatabase
    import SQLDatabase

    /// The mutant `replica-reads`: writes go to the primary, inboxes and histories are read from a standby that may lag behind.
    struct ReplicaReads: SQLDatabase {
        let engine = SQLEngine.postgres
        private let primary: any SQLDatabase
        private let standby: PostgresDatabase

        init(_ primary: any SQLDatabase, _ logger: Logger) async throws {
            self.primary = primary
            let url = Mutant.replica ?? ""
            standby = try PostgresDatabase(
                url: url + (url.contains("?") ? "&" : "?") + "target_session_attrs=any", logger: logger)
            try await standby.connect()
        }

        func query(_ sql: SQL) async throws -> SQLResult {
            try await primary.query(sql)
        }

        func read<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
            try await standby.read(body)
        }

        func write<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
            try await primary.write(body)
        }

        func notify(channel: String, payload: String) async throws {
            try await primary.notify(channel: channel, payload: payload)
        }

        func notifications(on channel: String) -> AsyncStream<String> { primary.notifications(on: channel) }

        func run() async throws { try await primary.run() }

        func close() async {
            await standby.close()
            await primary.close()
        }
    }
#endif
