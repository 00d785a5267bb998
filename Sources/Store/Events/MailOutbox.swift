package import Domain
import SQLDatabase

/// A mail that this process has claimed and is to send before its lease ends.
package struct ClaimedMail: Sendable {
    package let id: Int64
    package let event: String
    package let recipient: String
    package let subject: String
    package let body: String
    package let messageID: String
    package let createdAt: Timestamp
    /// How often it has been tried, this time included.
    package let attempts: Int
    /// Through which entry it goes; nil: that has been deleted since, or holds what cannot be used.
    package let entry: MailEntry?
    fileprivate let claim: Token128
}

/// A mail of the outbox as an administrator sees it.
package struct OutboxMail: Sendable, Hashable {
    package enum State: Int64, Sendable {
        case waiting = 0
        case sent = 1
        case dead = 2
    }

    package let id: Int64
    package let event: String
    package let recipient: String
    package let messageID: String
    package let state: State
    package let createdAt: Timestamp
    package let attempts: Int64
    package let nextAt: Timestamp
    package let lastError: String
}

/// When mails are tried again.
package struct MailPolicy: Sendable, Hashable {
    /// A claimed mail is another's to send after so long: longer than a try takes.
    package var lease = Duration.seconds(90)
    package var firstRetry = Duration.seconds(30)
    package var longestRetry = Duration.seconds(3_600)

    package init() {}

    /// How long to wait after so many tries: doubled each time, ±20 % so that many do not come at once.
    package func pause(after attempts: Int, jitter: Double = .random(in: 0.8...1.2)) -> Duration {
        let doublings = min(max(attempts - 1, 0), 16)
        return min(firstRetry * (1 << doublings), longestRetry) * jitter
    }
}

/// What became of a mail after a try that failed.
package enum FailedMail: Sendable, Hashable {
    case triedAgain
    case givenUp
    /// The lease had ended, and the mail is another's.
    case notOurs
}

extension SQLSession {
    /// The entry through which a mail goes: its own, or, when that was deleted, another of the event or the default one
    /// that writes to the same address.
    ///
    /// An entry that does not pass today's checks is as good as none: its mail is given up by name.
    fileprivate func entry(_ id: Int64, for event: String, recipient: String) throws -> MailEntry? {
        let entries = try run(
            """
            SELECT \(raw: mailEntryColumns) FROM mail_entry WHERE id = \(id) OR event = \(event) OR event IS NULL
            ORDER BY CASE WHEN id = \(id) THEN 0 WHEN event IS NOT NULL THEN 1 ELSE 2 END, created_at, id
            """
        ).compactMap { try? mailEntry($0) }
        return entries.first { entry in
            entry.id == id || entry.settings.to.contains { $0.description == recipient }
        }
    }
}

extension Store {
    /// Nothing waits for longer than this; what does was set so before the database's clock was set back.
    private static let longestWaitMicroseconds: Int64 = 2 * 3_600 * 1_000_000

    private static var isDue: SQL {
        "(next_at <= \(.now) OR next_at > \(.now) + \(longestWaitMicroseconds))"
    }

    /// Claims mails that are due, the longest due first; nobody else sends them until the lease ends.
    package func claimMails(limit: Int, lease: Duration) async throws -> [ClaimedMail] {
        // Most of the time there is none: that is found out without a write.
        let due = try await database.query(
            "SELECT 1 FROM mail_outbox WHERE state = 0 AND \(sql: Self.isDue) LIMIT 1")
        guard !due.isEmpty else { return [] }
        let claim = Token128.random()
        let skip: SQL = database.engine == .postgres ? " FOR UPDATE SKIP LOCKED" : ""
        return try await database.write { session in
            let rows = try session.run(
                """
                WITH due AS MATERIALIZED (SELECT id FROM mail_outbox WHERE state = 0 AND \(sql: Self.isDue)
                    ORDER BY next_at LIMIT \(limit)\(sql: skip))
                UPDATE mail_outbox SET claim = \(claim), next_at = \(.now) + \(lease.microseconds),
                    attempts = attempts + 1
                WHERE id IN (SELECT id FROM due)
                RETURNING id, event, recipient, subject, body, message_id, created_at, attempts, entry_id
                """)
            return try rows.map { row in
                let entry = try session.entry(
                    row.int(8), for: row.string(1), recipient: row.string(2))
                return ClaimedMail(
                    id: try row.int(0), event: try row.string(1), recipient: try row.string(2),
                    subject: try row.string(3), body: try row.string(4), messageID: try row.string(5),
                    createdAt: Timestamp(microseconds: try row.int(6)), attempts: Int(try row.int(7)),
                    entry: entry, claim: claim)
            }
        }
    }

    /// Notes that a mail server has taken a mail.
    /// - Returns: false when the lease had ended and another has claimed it since.
    @discardableResult
    package func recordSent(_ mail: ClaimedMail) async throws -> Bool {
        let result = try await database.query(
            """
            UPDATE mail_outbox SET state = 1, ended_at = \(.now), claim = NULL, last_error = ''
            WHERE id = \(mail.id) AND claim = \(mail.claim) AND state = 0
            """)
        return result.affectedRows > 0
    }

    /// Notes that a try failed: the mail waits for the next, or is given up.
    /// - Parameter isFinal: it never can go out as it is.
    package func recordFailure(
        of mail: ClaimedMail, words: String, isFinal: Bool, policy: MailPolicy
    ) async throws -> FailedMail {
        let pause = policy.pause(after: mail.attempts).microseconds
        let rows = try await database.query(
            """
            UPDATE mail_outbox SET claim = NULL, last_error = \(words), next_at = \(.now) + \(pause),
                state = CASE WHEN \(isFinal) = 1 OR give_up_at <= \(.now) THEN 2 ELSE 0 END,
                ended_at = CASE WHEN \(isFinal) = 1 OR give_up_at <= \(.now) THEN \(.now) ELSE NULL END
            WHERE id = \(mail.id) AND claim = \(mail.claim) AND state = 0 RETURNING state
            """)
        guard let row = rows.first else { return .notOurs }
        return try row.int(0) == 2 ? .givenUp : .triedAgain
    }

    /// Gives a mail back that was certainly not sent, for somebody else to send now.
    package func release(_ mail: ClaimedMail) async throws {
        try await database.query(
            """
            UPDATE mail_outbox SET claim = NULL, next_at = \(.now), attempts = attempts - 1
            WHERE id = \(mail.id) AND claim = \(mail.claim) AND state = 0
            """)
    }

    /// The mails in a state, newest first.
    package func outbox(_ state: OutboxMail.State, limit: Int) async throws -> [OutboxMail] {
        try await database.query(
            """
            SELECT id, event, recipient, message_id, state, created_at, attempts, next_at, last_error
            FROM mail_outbox WHERE state = \(state.rawValue) ORDER BY created_at DESC, id
            LIMIT \(min(limit, Self.longestEventPage))
            """
        ).map { row in
            OutboxMail(
                id: try row.int(0), event: try row.string(1), recipient: try row.string(2),
                messageID: try row.string(3), state: OutboxMail.State(rawValue: try row.int(4)) ?? .waiting,
                createdAt: Timestamp(microseconds: try row.int(5)), attempts: try row.int(6),
                nextAt: Timestamp(microseconds: try row.int(7)), lastError: try row.string(8))
        }
    }

    /// Lets mails that were given up be tried again, for another 24 hours, with the Message-ID that they had.
    /// - Parameter id: nil: all of them.
    package func reviveMails(_ id: Int64? = nil) async throws -> Int {
        var sql: SQL = """
            UPDATE mail_outbox SET state = 0, ended_at = NULL, claim = NULL, attempts = 0, next_at = \(.now),
                give_up_at = \(.now) + \(EventLimits.mailGivenUpAfterMicroseconds)
            WHERE state = 2
            """
        if let id { sql.append(" AND id = \(id)") }
        return try await database.query(sql).affectedRows
    }
}
