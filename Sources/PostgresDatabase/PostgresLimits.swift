import SQLDatabase

/// Every number that bounds what the PostgreSQL client does.
///
/// Each lane has connections and queues of its own (`limits(of:)`). Without more words a number is that of the lane
/// for appends, and of the others where these have none of their own.
package struct PostgresLimits: Sendable {
    /// Connections on which single statements are pipelined.
    package var pipelinedConnections = 4
    /// Statements sent and unanswered on one of them.
    package var inFlightPerConnection = 64
    /// Statements waiting for a place on a connection; beyond it callers are refused with `overloaded`.
    package var waitingStatements = 4_096
    /// How long a statement may wait for a place before it is refused: for a connection that is to be made …
    package var waitingTime = Duration.seconds(5)
    /// … and for one that others use.
    package var busyTime = Duration.seconds(5)
    /// How long a statement may run before its connection is dropped and its outcome is unknown.
    package var statementDeadline = Duration.seconds(5)
    /// How long one migration script may run.
    package var scriptDeadline = Duration.seconds(600)
    /// Transactions at the same time, each on a thread and a connection of its own.
    package var sessions = 3
    /// Whether connections of transactions are kept for the next ones.
    package var keepsSessions = true
    /// Callers waiting for one of them; beyond it they are refused with `overloaded`.
    package var waitingSessions = 1_024
    /// Reads of one statement at the same time, each alone on its connection: a slow one holds up no other.
    package var readConnections = 2
    /// Reads of several statements at the same time, each on a thread and a connection of its own.
    package var readSessions = 4
    /// Reads waiting for one of these; beyond it callers are refused with `overloaded`.
    package var waitingReads = 512
    /// How long a read may wait for one that others use before it is refused.
    package var readBusyTime = Duration.seconds(1)
    /// How long one statement of a read may run: the server ends it (`statement_timeout`), the connection stays.
    package var readStatementTime = Duration.seconds(1)
    /// How long the statements of one read may take together.
    package var readTime = Duration.seconds(2)
    /// Transactions of the heartbeat's lane at the same time; its single statements share one connection.
    package var heartbeatSessions = 1
    /// How often a transaction is run in all, when another one is in its way.
    package var transactionAttempts = 3
    /// Statements kept prepared on one connection; further ones are parsed each time.
    package var preparedStatements = 256
    /// Threads that establish connections.
    package var connectors = 2
    /// The pause after the first failed attempt to connect; it doubles up to `longestReconnectPause`.
    package var firstReconnectPause = Duration.milliseconds(50)
    package var longestReconnectPause = Duration.seconds(1)

    package init() {}

    /// What holds for one lane, under the names of the lane for appends.
    func limits(of lane: SQLLane) -> PostgresLimits {
        var limits = self
        switch lane {
        case .log: break
        case .reads:
            limits.pipelinedConnections = readConnections
            limits.inFlightPerConnection = 1
            limits.waitingStatements = waitingReads
            limits.busyTime = readBusyTime
            limits.sessions = readSessions
            limits.waitingSessions = waitingReads
        case .heartbeat:
            limits.pipelinedConnections = 1
            limits.sessions = heartbeatSessions
            // They are rare, and a connection that nobody uses is one that another server lacks.
            limits.keepsSessions = false
        }
        return limits
    }

    /// The pause before the next attempt, with jitter so that servers do not come back in step.
    func reconnectPause(afterFailures failures: Int) -> Duration {
        let doubled = firstReconnectPause * (1 << min(max(failures - 1, 0), 10))
        return min(doubled, longestReconnectPause) * Double.random(in: 0.5...1)
    }
}
