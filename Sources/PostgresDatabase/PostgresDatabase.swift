package import Logging
import NIOPosix
package import SQLDatabase
import Synchronization

/// PostgreSQL through libpq: statements pipelined on few connections, transactions on threads of their own.
///
/// Needs PostgreSQL 14 or newer. `close()` ends its threads; call it, or `run()`, whose end closes too.
package final class PostgresDatabase: SQLDatabase {
    package let engine = SQLEngine.postgres
    package var connections: Int { reactor.connections.load(ordering: .acquiring) }
    private let string: ConnectionString
    private let connectors: NIOThreadPool
    private let reactor: Reactor
    private let sessions: SessionPool
    private let listener: NotificationListener
    private let closing = AsyncStream.makeStream(of: Void.self)
    private let logger: Logger

    /// Checks the URL; nothing is connected yet.
    ///
    /// - Parameter url: as libpq takes it, with one host or several: `postgresql://user@a:5432,b:5432/asm`.
    package init(url: String, limits: PostgresLimits = PostgresLimits(), logger: Logger) throws {
        let string = try ConnectionString(url: url)
        let connectors = NIOThreadPool(numberOfThreads: limits.connectors)
        self.string = string
        self.connectors = connectors
        self.logger = logger
        reactor = try Reactor(limits: limits, logger: logger) { slot, reactor in
            connectors.submit { state in
                guard state == .active else { return }
                do { reactor.opened(try RawConnection.open(string), for: slot) } catch {
                    reactor.failed(slot, reason: "\(error)")
                }
            }
        }
        listener = try NotificationListener(string, limits, logger)
        sessions = SessionPool(string, limits)
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
        reactor.start()
    }

    @discardableResult
    package func query(_ sql: SQL) async throws -> SQLResult {
        try await reactor.submit(EncodedStatement(sql)).decoded()
    }

    package func read<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await sessions.transaction(.read, body)
    }

    @discardableResult
    package func write<T: Sendable>(
        _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await sessions.transaction(.write, body)
    }

    package func notify(channel: String, payload: String) async throws {
        try await query("SELECT pg_notify(\(channel), \(payload))")
    }

    package func notifications(on channel: String) -> AsyncStream<String> {
        listener.listen(on: channel)
    }

    package func run() async throws {
        reactor.start()
        for await _ in closing.stream {}
        await close()
    }

    package func close() async {
        closing.continuation.finish()
        listener.close()
        await reactor.close()
        do {
            try await sessions.close()
            try await connectors.shutdownGracefully()
        } catch {
            logger.warning("PostgreSQL threads did not end cleanly", metadata: ["error": "\(error)"])
        }
    }
}
