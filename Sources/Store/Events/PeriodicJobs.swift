package import Domain
import SQLDatabase

/// Work that is done now and then by one server, whichever comes first.
package enum PeriodicJob: String, Sendable {
    case eventRetention = "event retention"
    case databaseSize = "database size"
    case licence = "licence"
}

extension SQLSession {
    /// Takes a job when it is due, for the transaction's end and the time after: no other server takes it meanwhile.
    ///
    /// Done at a time that lies ahead, it is due: the database's clock was set back since.
    /// - Returns: false when another server has done it within the time.
    func take(_ job: PeriodicJob, every microseconds: Int64) throws -> Bool {
        let taken = try run(
            """
            INSERT INTO periodic_job (name, last_at) VALUES (\(job.rawValue), \(.now))
            ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at
            WHERE periodic_job.last_at <= excluded.last_at - \(microseconds) OR periodic_job.last_at > excluded.last_at
            """)
        return taken.affectedRows > 0
    }
}

extension Store {
    /// Whether this server is the one that does the job now.
    package func take(_ job: PeriodicJob, every microseconds: Int64) async throws -> Bool {
        try await database.write { try $0.take(job, every: microseconds) }
    }

    /// Measures the database when that is due and tells of a limit that it has come near, in one transaction.
    /// - Returns: nil when it is not due.
    @discardableResult
    package func checkDatabaseSize(every microseconds: Int64) async throws -> UsageLevel? {
        let engine = database.engine
        return try await database.write { session in
            guard try session.take(.databaseSize, every: microseconds) else { return nil }
            let options = try session.eventOptions()
            let size =
                switch engine {
                case .postgres: try session.run("SELECT pg_database_size(current_database())")[0].int(0)
                case .sqlite:
                    try session.run(
                        "SELECT p.page_count * s.page_size FROM pragma_page_count() p, pragma_page_size() s")[
                            0
                        ]
                        .int(0)
                }
            return try session.reportUsage(
                UsageReport(
                    .database, used: size, limit: options.databaseLimitBytes,
                    threshold: UsageThreshold(warningPercent: options.warningPercent)))
        }
    }
}
