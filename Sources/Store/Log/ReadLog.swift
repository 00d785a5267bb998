package import Domain
import SQLDatabase

/// The end of a customer's log.
package struct LogHead: Sendable, Hashable {
    package let epoch: LogEpoch
    package let position: LogPosition

    package init(epoch: LogEpoch, position: LogPosition) {
        self.epoch = epoch
        self.position = position
    }
}

extension Store {
    package func head(of customer: Customer.ID) async throws -> LogHead {
        let row = try await database.query(
            "SELECT epoch, head FROM log_head WHERE customer_id = \(customer)"
        ).first
        guard let row else { throw StoreError.noSuchCustomer("\(customer)") }
        return LogHead(epoch: try row.token(0), position: try row.int(1))
    }

    /// The heads of all logs, for the poll that finds what a lost notification would have told.
    package func heads(of customers: [Customer.ID]) async throws -> [Customer.ID: LogPosition] {
        let rows = try await database.query(
            "SELECT customer_id, head FROM log_head WHERE customer_id \(in: customers.map(\.rawValue))")
        return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.id(0), try $0.int(1)) })
    }

    /// Entries after a position, in log order, at most `limit` of them.
    package func entries(
        of customer: Customer.ID, after position: LogPosition, limit: Int
    ) async throws -> [LogEntry] {
        let rows = try await database.query(
            """
            SELECT \(raw: entryColumns) FROM entry e
            WHERE e.customer_id = \(customer) AND e.position > \(position)
            ORDER BY e.position LIMIT \(limit)
            """)
        return try rows.map { try entry($0) }
    }

    /// What a user's threads gained in `(after, upTo]`, in log order, at most `limit` entries.
    package func entries(
        for user: User.ID, of customer: Customer.ID, after: LogPosition, upTo: LogPosition, limit: Int
    ) async throws -> [LogEntry] {
        let rows = try await database.query(
            """
            SELECT \(raw: entryColumns) FROM participant p
            JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer) AND t.last_position > \(after)
            JOIN entry e ON e.thread_id = t.id AND e.position > \(after) AND e.position <= \(upTo)
            WHERE p.user_id = \(user)
                AND (e.number IS NULL OR e.number >= p.joined_number)
                AND (p.left_number IS NULL OR (e.number IS NOT NULL AND e.number <= p.left_number))
            ORDER BY e.position LIMIT \(limit)
            """)
        return try rows.map { try entry($0) }
    }
}

/// The columns that `entry(_:)` reads, in its order.
let entryColumns: StaticString = """
    e.position, e.thread_id, e.number, e.author_id, e.device_id, e.client_id, e.at, e.kind, e.priority, e.body
    """

/// Reads one row of `entryColumns`.
func entry(_ row: SQLRow, from first: Int = 0) throws -> LogEntry {
    LogEntry(
        position: try row.int(first), thread: try row.id(first + 1), number: try row.intOrNil(first + 2),
        author: try row.idOrNil(first + 3),
        device: try row.idOrNil(first + 4),
        clientID: try row.bytesOrNil(first + 5).flatMap { ClientID(bytes: $0) },
        at: Timestamp(microseconds: try row.int(first + 6)),
        content: StoredContent.decode(
            kind: Int(try row.int(first + 7)), priority: Int(try row.int(first + 8)),
            body: try row.text(ofBlob: first + 9)))
}
