import Glibc
import NIOPosix
import SQLDatabase
import Synchronization

/// Runs transactions, each on a thread and a connection of its own.
final class SessionPool: Sendable {
    private struct State {
        var idle: [BlockingConnection] = []
        var waiting = 0
        var closed = false
    }

    /// Where a transaction ends and what it promises to have changed.
    enum Kind: Sendable {
        case read
        case write

        var begin: String {
            switch self {
            case .read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            case .write: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
            }
        }
    }

    /// How long a thread pauses before it tries again to connect, in microseconds.
    private static let connectPause: UInt32 = 100_000

    private let string: ConnectionString
    private let limits: PostgresLimits
    private let threads: NIOThreadPool
    private let state = Mutex(State())

    init(_ string: ConnectionString, _ limits: PostgresLimits) {
        self.string = string
        self.limits = limits
        threads = NIOThreadPool(numberOfThreads: limits.sessions)
        threads.start()
    }

    deinit { threads.shutdownGracefully { _ in } }

    func transaction<T: Sendable>(
        _ kind: Kind, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        let refusal: SQLError? = state.withLock { state in
            guard !state.closed else { return .unavailable("the database is closed") }
            guard state.waiting < limits.waitingSessions else {
                return .overloaded("\(limits.waitingSessions) transactions are waiting")
            }
            state.waiting += 1
            return nil
        }
        if let refusal { throw refusal }
        let submitted = ContinuousClock.now
        return try await withCheckedThrowingContinuation { continuation in
            threads.submit { threadState in
                self.state.withLock { $0.waiting -= 1 }
                continuation.resume(
                    with: Result {
                        guard threadState == .active else {
                            throw SQLError.unavailable("the database is closed")
                        }
                        guard .now < submitted + self.limits.busyTime else {
                            throw SQLError.overloaded("no session became free within \(self.limits.busyTime)")
                        }
                        return try self.runRetrying(kind, submitted + self.limits.waitingTime, body)
                    })
            }
        }
    }

    /// Closes connections as their transactions end, and waits for these.
    func close() async throws {
        state.withLock { state in
            state.closed = true
            state.idle = []
        }
        try await threads.shutdownGracefully()
    }

    private func runRetrying<T>(
        _ kind: Kind, _ latestStart: ContinuousClock.Instant, _ body: (any SQLSession) throws -> T
    ) throws -> T {
        for _ in 1..<limits.transactionAttempts {
            do { return try runOnce(kind, latestStart, body) } catch SQLError.conflict { continue }
        }
        return try runOnce(kind, latestStart, body)
    }

    private func runOnce<T>(
        _ kind: Kind, _ latestStart: ContinuousClock.Instant, _ body: (any SQLSession) throws -> T
    ) throws -> T {
        let connection = try begun(kind, latestStart)
        defer { giveBack(connection) }
        let value: T
        do {
            let latest = kind == .read ? ContinuousClock.now + limits.readTime : nil
            value = try body(PostgresSession(connection, limits, latest: latest))
        } catch {
            // The body's error tells what happened; a connection that cannot roll back is not used again.
            _ = try? connection.runSimple("ROLLBACK", deadline: .now + limits.statementDeadline)
            throw error
        }
        try commit(connection)
        return value
    }

    private func commit(_ connection: BlockingConnection) throws {
        do {
            let answer = try connection.runSimple("COMMIT", deadline: .now + limits.statementDeadline)
            if connection.takeReplicationWarning() {
                throw SQLError.unknownOutcome("the commit did not reach the standby")
            }
            guard answer.command == "COMMIT" else {
                throw SQLError.statement(
                    code: "25P02", message: "rolled back, because a statement in the transaction had failed")
            }
        } catch let lost as BlockingConnection.Lost {
            throw SQLError.unknownOutcome("the connection was lost during the commit: \(lost.reason)")
        }
    }

    /// A connection with its transaction begun, reconnecting as long as the caller may wait.
    private func begun(_ kind: Kind, _ latestStart: ContinuousClock.Instant) throws -> BlockingConnection {
        while true {
            do {
                let connection = try takeIdle() ?? BlockingConnection(RawConnection.open(string))
                try connection.runSimple(kind.begin, deadline: .now + limits.statementDeadline)
                return connection
            } catch is BlockingConnection.Lost {
                // It died while idle; nothing had been asked of it yet.
                if ContinuousClock.now >= latestStart {
                    throw SQLError.unavailable("connections are lost at once")
                }
            } catch let error as SQLError {
                let closed = state.withLock { $0.closed }
                guard ContinuousClock.now < latestStart, !closed else { throw atRuntime(error) }
                usleep(Self.connectPause)
            }
        }
    }

    /// Whatever keeps a running server from its database, to callers it is unavailable.
    private func atRuntime(_ error: SQLError) -> SQLError {
        switch error {
        case .misconfigured(let reason), .readOnly(let reason): .unavailable(reason)
        default: error
        }
    }

    private func takeIdle() -> BlockingConnection? { state.withLock { $0.idle.popLast() } }

    private func giveBack(_ connection: BlockingConnection) {
        guard connection.isReusable, limits.keepsSessions else { return }
        state.withLock { state in
            if !state.closed { state.idle.append(connection) }
        }
    }
}

/// Statements inside one transaction.
struct PostgresSession: SQLSession {
    private let connection: BlockingConnection
    private let limits: PostgresLimits
    /// No statement is begun after it.
    private let latest: ContinuousClock.Instant?

    init(_ connection: BlockingConnection, _ limits: PostgresLimits, latest: ContinuousClock.Instant?) {
        self.connection = connection
        self.limits = limits
        self.latest = latest
    }

    func run(_ sql: SQL) throws -> SQLResult {
        if let latest, ContinuousClock.now > latest {
            throw SQLError.overloaded("a read took longer than \(limits.readTime)")
        }
        return try notCommitted {
            let deadline = ContinuousClock.now + limits.statementDeadline
            return try connection.run(
                EncodedStatement(sql), deadline: deadline, preparedLimit: limits.preparedStatements
            ).decoded()
        }
    }

    func runScript(_ text: String) throws {
        try notCommitted { _ = try connection.runSimple(text, deadline: .now + limits.scriptDeadline) }
    }

    /// A connection lost before COMMIT is sent has changed nothing, so the outcome is known.
    private func notCommitted<T>(_ body: () throws -> T) throws -> T {
        do { return try body() } catch let lost as BlockingConnection.Lost {
            throw SQLError.unavailable("the transaction was rolled back: \(lost.reason)")
        }
    }
}
