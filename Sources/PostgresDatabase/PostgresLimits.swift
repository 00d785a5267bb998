/// Every number that bounds what the PostgreSQL client does.
package struct PostgresLimits: Sendable {
    /// Connections on which single statements are pipelined.
    package var pipelinedConnections = 8
    /// Statements sent and unanswered on one of them.
    package var inFlightPerConnection = 64
    /// Statements waiting for a place on a connection; beyond it callers are refused with `overloaded`.
    package var waitingStatements = 4_096
    /// How long a statement may wait for a place before it is refused.
    package var waitingTime = Duration.seconds(5)
    /// How long a statement may run before its connection is dropped and its outcome is unknown.
    package var statementDeadline = Duration.seconds(5)
    /// How long one migration script may run.
    package var scriptDeadline = Duration.seconds(600)
    /// Transactions at the same time, each on a thread and a connection of its own.
    package var sessions = 4
    /// Callers waiting for one of them; beyond it they are refused with `overloaded`.
    package var waitingSessions = 1_024
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

    /// The pause before the next attempt, with jitter so that servers do not come back in step.
    func reconnectPause(afterFailures failures: Int) -> Duration {
        let doubled = firstReconnectPause * (1 << min(max(failures - 1, 0), 10))
        return min(doubled, longestReconnectPause) * Double.random(in: 0.5...1)
    }
}
