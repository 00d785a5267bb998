package import Domain
import SQLDatabase

/// An event as the Event Log Report shows it.
package struct LoggedEvent: Sendable, Hashable {
    package let at: Timestamp
    /// As it was called when it was logged.
    package let event: String
    package let summary: String
    package let details: String
    package let customer: String?
    package let server: String?
    /// How many mails went into the outbox with it.
    package let mails: Int64
}

extension Store {
    package static let longestEventPage = 1_000

    /// What was logged, newest first.
    /// - Parameter maximumAge: microseconds; nil: whatever is kept.
    package func loggedEvents(
        _ event: SystemEvent? = nil, maximumAge: Int64? = nil, limit: Int
    ) async throws -> [LoggedEvent] {
        var sql: SQL = """
            SELECT e.at, e.event, e.summary, e.details, c.name, s.address, e.mails FROM event_log e
            LEFT JOIN customer c ON c.id = e.customer_id LEFT JOIN server s ON s.id = e.server_id
            WHERE e.at > \(.now) - \(maximumAge ?? Int64.max / 2)
            """
        if let event { sql.append(" AND e.event = \(event.rawValue)") }
        sql.append(" ORDER BY e.at DESC, e.id LIMIT \(min(limit, Self.longestEventPage))")
        return try await database.query(sql).map { row in
            LoggedEvent(
                at: Timestamp(microseconds: try row.int(0)), event: try row.string(1),
                summary: try row.string(2), details: try row.string(3), customer: try row.stringOrNil(4),
                server: try row.stringOrNil(5), mails: try row.int(6))
        }
    }

    /// Rows removed by one transaction.
    package static let purgeBatch = 500
    /// Mails that were taken are kept for so long, to see that they were.
    package static let sentMailsKeptDays: Int64 = 30

    /// Removes one batch of what is older than it is to be kept.
    /// - Returns: how many rows went; fewer than a batch of each kind means that nothing is left to do.
    package func purgeEvents() async throws -> Int {
        try await database.write { session in
            let day: Int64 = 86_400 * 1_000_000
            let kept = try session.eventOptions().retentionDays
            let now = try session.run("SELECT \(.now)")[0].int(0)
            let events = try session.run(
                """
                DELETE FROM event_log WHERE id IN (SELECT id FROM event_log WHERE at < \(now - kept * day)
                    ORDER BY at LIMIT \(Self.purgeBatch))
                """)
            let keys = try session.run(
                """
                DELETE FROM event_once WHERE (event, key) IN (SELECT event, key FROM event_once
                    WHERE at < \(now - Int64(EventLimits.keysKeptDays) * day) ORDER BY at LIMIT \(Self.purgeBatch))
                """)
            let sent = try session.run(
                """
                DELETE FROM mail_outbox WHERE id IN (SELECT id FROM mail_outbox
                    WHERE state = 1 AND ended_at < \(now - min(kept, Self.sentMailsKeptDays) * day)
                    ORDER BY ended_at LIMIT \(Self.purgeBatch))
                """)
            let dead = try session.run(
                """
                DELETE FROM mail_outbox WHERE id IN (SELECT id FROM mail_outbox
                    WHERE state = 2 AND ended_at < \(now - kept * day) ORDER BY ended_at LIMIT \(Self.purgeBatch))
                """)
            return [events, keys, sent, dead].reduce(0) { $0 + $1.affectedRows }
        }
    }
}
