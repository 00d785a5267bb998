package import Logging
import NIOPosix
package import SQLDatabase
import Synchronization

/// PostgreSQL through libpq: statements pipelined on few connections, transactions on threads of their own, and both
/// for each lane apart.
///
/// Needs PostgreSQL 14 or newer. `close()` ends its threads; call it, or `run()`, whose end closes too.
package final class PostgresDatabase: SQLDatabase {
    package let engine = SQLEngine.postgres
    package var connections: Int { log.reactor.connections.load(ordering: .acquiring) }
    private let string: ConnectionString
    private let connectors: NIOThreadPool
    private let heartbeat: Lane
    private let log: Lane
    private let reads: Lane
    private let listener: NotificationListener
    private let closing = AsyncStream.makeStream(of: Void.self)
    private let logger: Logger

    /// The connections of one lane.
    private struct Lane: Sendable {
        let reactor: Reactor
        let sessions: SessionPool

        init(
            _ lane: SQLLane, _ string: ConnectionString, _ limits: PostgresLimits,
            _ connectors: NIOThreadPool, _ logger: Logger
        ) throws {
            let string = string.of(lane, limits)
            let laneLimits = limits.limits(of: lane)
            reactor = try Reactor(limits: laneLimits, logger: logger) { slot, reactor in
                connectors.submit { state in
                    guard state == .active else { return }
                    do { reactor.opened(try RawConnection.open(string), for: slot) } catch {
                        reactor.failed(slot, reason: "\(error)")
                    }
                }
            }
            sessions = SessionPool(string, laneLimits)
        }
    }

    /// Checks the URL; nothing is connected yet.
    ///
    /// - Parameter url: as libpq takes it, with one host or several: `postgresql://user@a:5432,b:5432/asm`.
    package init(url: String, limits: PostgresLimits = PostgresLimits(), logger: Logger) throws {
        let string = try ConnectionString(url: url)
        let connectors = NIOThreadPool(numberOfThreads: limits.connectors)
        self.string = string
        self.connectors = connectors
        self.logger = logger
        heartbeat = try Lane(.heartbeat, string, limits, connectors, logger)
        log = try Lane(.log, string, limits, connectors, logger)
        reads = try Lane(.reads, string, limits, connectors, logger)
        listener = try NotificationListener(string, limits, logger)
        connectors.start()
    }

    deinit {
        listener.close()
        connectors.shutdownGracefully { _ in }
    }

    /// Connects once, so that a wrong URL, a wrong password or a server that takes no writes is told at start.
    package func connect() async throws {
        let string = string
        _ = try await connectors.runIfActive { try RawConnection.open(string) }
        startAll()
    }

    @discardableResult
    package func query(_ sql: SQL) async throws -> SQLResult { try await query(sql, on: .log) }

    @discardableResult
    package func query(_ sql: SQL, on lane: SQLLane) async throws -> SQLResult {
        try await self[lane].reactor.submit(EncodedStatement(sql)).decoded()
    }

    private subscript(_ lane: SQLLane) -> Lane {
        switch lane {
        case .heartbeat: heartbeat
        case .log: log
        case .reads: reads
        }
    }

    private func startAll() {
        for lane in SQLLane.allCases { self[lane].reactor.start() }
    }

    package func read<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await reads.sessions.transaction(.read, body)
    }

    @discardableResult
    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await write(on: .log, body)
    }

    @discardableResult
    package func write<T: Sendable>(
        on lane: SQLLane, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await self[lane].sessions.transaction(.write, body)
    }

    package func notify(channel: String, payload: String) async throws {
        try await query("SELECT pg_notify(\(channel), \(payload))")
    }

    package func notifications(on channel: String) -> AsyncStream<String> {
        listener.listen(on: channel)
    }

    package func run() async throws {
        startAll()
        for await _ in closing.stream {}
        await close()
    }

    package func close() async {
        closing.continuation.finish()
        listener.close()
        for lane in SQLLane.allCases { await self[lane].reactor.close() }
        do {
            for lane in SQLLane.allCases { try await self[lane].sessions.close() }
            try await connectors.shutdownGracefully()
        } catch {
            logger.warning("PostgreSQL threads did not end cleanly", metadata: ["error": "\(error)"])
        }
    }
}
