/// Which database speaks.
package enum SQLEngine: String, Sendable, Hashable, CaseIterable {
    case postgres
    case sqlite
}

/// Statements inside one transaction or snapshot; valid only inside the closure it is given to.
package protocol SQLSession {
    @discardableResult
    func run(_ sql: SQL) throws -> SQLResult

    /// Runs several statements separated by semicolons, without binds: for migrations.
    func runScript(_ text: String) throws
}

/// A database, whichever engine holds it.
///
/// Closures are synchronous: no transaction can wait on a network other than the database's.
package protocol SQLDatabase: Sendable {
    var engine: SQLEngine { get }

    /// How often a connection for `query` was made: when that has grown, another machine may have answered than before.
    var connections: Int { get }

    /// Runs one statement, committed by itself.
    ///
    /// On PostgreSQL statements of many callers are pipelined on few connections; an error of one is its own.
    @discardableResult
    func query(_ sql: SQL) async throws -> SQLResult

    /// The same on another lane than `SQLLane.log`.
    @discardableResult
    func query(_ sql: SQL, on lane: SQLLane) async throws -> SQLResult

    /// Runs statements that see one snapshot and change nothing, on the lane for reads.
    func read<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T

    /// Runs statements as one transaction: committed when the closure returns, rolled back when it throws.
    ///
    /// PostgreSQL may run the closure again after a deadlock or a lock that took too long, so it must have no effect
    /// but its statements'.
    @discardableResult
    func write<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T

    /// The same on another lane than `SQLLane.log`.
    @discardableResult
    func write<T: Sendable>(
        on lane: SQLLane, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T

    /// Tells every listener on the channel, in this process and, on PostgreSQL, in others.
    ///
    /// A payload is at most `NotificationHub.payloadLimit` bytes of UTF-8.
    func notify(channel: String, payload: String) async throws

    /// What is told on the channel from now on; a slow listener loses the oldest.
    ///
    /// An empty payload means notifications may have been missed: look at the tables.
    func notifications(on channel: String) -> AsyncStream<String>

    /// Keeps the database connected until cancelled, then closes it.
    func run() async throws

    /// Closes every connection; statements still waiting fail with `unavailable` or `unknownOutcome`.
    func close() async
}

extension SQLDatabase {
    /// A database inside this process is always the same one.
    package var connections: Int { 0 }

    /// A database whose lanes are all one.
    @discardableResult
    package func query(_ sql: SQL, on lane: SQLLane) async throws -> SQLResult { try await query(sql) }

    @discardableResult
    package func write<T: Sendable>(
        on lane: SQLLane, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T { try await write(body) }
}
