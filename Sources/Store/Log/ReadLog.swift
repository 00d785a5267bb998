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

/// The head of a log, and what stands at a position of it.
package struct MarkedHead: Sendable, Hashable {
    package let head: LogHead
    /// Of the entry at the position that was asked for; nil when there is none.
    package let mark: EntryMark?

    package init(head: LogHead, mark: EntryMark?) {
        self.head = head
        self.mark = mark
    }

    /// The cursor of who has followed the log to the entry that the mark is of: only where that is the head's.
    package var cursor: LogCursor { LogCursor(epoch: head.epoch, position: head.position, mark: mark) }

    /// Whether a look at the log shows that it is not the one followed to here: it is another, shorter, or has another
    /// entry here.
    /// - Parameter found: with the mark of the entry at this head's position.
    package func isContradicted(by found: MarkedHead) -> Bool {
        found.head.epoch != head.epoch || found.head.position < head.position || found.mark != mark
    }
}

/// A log's end, and the entry at another place of it.
package struct LogLook: Sendable, Hashable {
    package let head: MarkedHead
    /// Of the entry at the position that was asked for; nil when there is none.
    package let mark: EntryMark?
}

extension Store {
    /// The log's end and what stands at a position of it, for somebody who says to have followed it to there.
    package func look(at position: LogPosition, of customer: Customer.ID) async throws -> LogLook {
        let row = try await database.query(
            """
            SELECT \(raw: markedHeadColumns),
                c.position, c.thread_id, c.number, c.author_id, c.client_id, c.at
            FROM log_head h
            LEFT JOIN entry e ON e.customer_id = h.customer_id AND e.position = h.head
            LEFT JOIN entry c ON c.customer_id = h.customer_id AND c.position = \(position)
            WHERE h.customer_id = \(customer)
            """, on: .reads
        ).first
        guard let row else { throw StoreError.noSuchCustomer("\(customer)") }
        return LogLook(head: try Self.markedHead(row), mark: try entryMark(row, from: 9))
    }

    package func head(of customer: Customer.ID) async throws -> LogHead {
        let row = try await database.query(
            "SELECT epoch, head FROM log_head WHERE customer_id = \(customer)", on: .reads
        ).first
        guard let row else { throw StoreError.noSuchCustomer("\(customer)") }
        return LogHead(epoch: try row.token(0), position: try row.int(1))
    }

    /// The head of a log with the mark of its last entry.
    package func markedHead(of customer: Customer.ID) async throws -> MarkedHead {
        let row = try await database.query(
            """
            SELECT \(raw: markedHeadColumns) FROM log_head h
            LEFT JOIN entry e ON e.customer_id = h.customer_id AND e.position = h.head
            WHERE h.customer_id = \(customer)
            """
        ).first
        guard let row else { throw StoreError.noSuchCustomer("\(customer)") }
        return try Self.markedHead(row)
    }

    /// The heads of logs, each with the mark of the entry at the position to which it was followed: for the poll that
    /// finds what a lost notification would have told, and what the database has lost.
    package func heads(
        of followed: [Customer.ID: LogPosition]
    ) async throws -> [Customer.ID: MarkedHead] {
        var heads: [Customer.ID: MarkedHead] = [:]
        var rest = Array(followed)[...]
        while !rest.isEmpty {
            let chunk = rest.prefix(Self.headsAtOnce)
            rest = rest.dropFirst(chunk.count)
            for row in try await database.query(Self.headsStatement(Array(chunk))) {
                heads[try row.id(0)] = try Self.markedHead(row)
            }
        }
        return heads
    }

    private static let headsAtOnce = 256

    /// Padded to a power of two, so that few forms of the statement are prepared.
    private static func headsStatement(_ followed: [(key: Customer.ID, value: LogPosition)]) -> SQL {
        var count = 1
        while count < followed.count { count *= 2 }
        var pairs: SQL = ""
        for index in 0..<count {
            let pair = followed[min(index, followed.count - 1)]
            pairs.append(index == 0 ? "(\(pair.key), \(pair.value))" : ", (\(pair.key), \(pair.value))")
        }
        return """
            SELECT \(raw: markedHeadColumns) FROM (VALUES \(sql: pairs)) AS f
            JOIN log_head h ON h.customer_id = f.column1
            LEFT JOIN entry e ON e.customer_id = f.column1 AND e.position = f.column2
            """
    }

    static func markedHead(_ row: SQLRow) throws -> MarkedHead {
        let head = LogHead(epoch: try row.token(1), position: try row.int(2))
        return MarkedHead(head: head, mark: try entryMark(row, from: 3))
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

    /// How many entries `entries(for:…)` would find, at most `limit`; no text is read.
    package func entryCount(
        for user: User.ID, of customer: Customer.ID, after: LogPosition, upTo: LogPosition, limit: Int
    ) async throws -> Int {
        let rows = try await database.query(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM entry e
                WHERE \(sql: Self.concerns(user, of: customer, after: after, upTo: upTo))
                LIMIT \(limit)) counted
            """, on: .reads)
        return Int(try rows[0].int(0))
    }

    private static func concerns(
        _ user: User.ID, of customer: Customer.ID, after: LogPosition, upTo: LogPosition
    ) -> SQL {
        let isInEarlierStay = StaySQL.holds("e.number", thread: "e.thread_id", user: "p.user_id")
        let isNoGap = StaySQL.isNoGap("e.position", thread: "e.thread_id", user: "p.user_id")
        return """
            e.customer_id = \(customer) AND e.position > \(after) AND e.position <= \(upTo)
                AND EXISTS (
                    SELECT 1 FROM participant p
                    WHERE p.thread_id = e.thread_id AND p.user_id = \(user)
                        AND CASE
                            WHEN e.number IS NULL THEN p.left_number IS NULL AND \(sql: isNoGap)
                            WHEN e.number >= p.joined_number THEN p.left_number IS NULL OR e.number <= p.left_number
                            ELSE \(sql: isInEarlierStay) END
                    LIMIT 1 OFFSET 0)
            """
    }

    /// What a user's threads gained in `(after, upTo]`, in log order, at most `limit` entries.
    ///
    /// It walks the customer's log, and asks of each entry whether it concerns the user: so it costs what the log gained,
    /// which callers bound (`upTo - after`), and not what threads the user has. `LIMIT 1 OFFSET 0` keeps PostgreSQL from
    /// turning the question into a join that begins with all the user's threads.
    package func entries(
        for user: User.ID, of customer: Customer.ID, after: LogPosition, upTo: LogPosition, limit: Int
    ) async throws -> [LogEntry] {
        let rows = try await database.query(
            """
            SELECT \(raw: entryColumns) FROM entry e
            WHERE \(sql: Self.concerns(user, of: customer, after: after, upTo: upTo))
            ORDER BY e.position LIMIT \(limit)
            """, on: .reads)
        return try rows.map { try entry($0) }
    }
}

/// Reads the mark of an entry that a left join may not have found.
private func entryMark(_ row: SQLRow, from first: Int) throws -> EntryMark? {
    guard let position = try row.intOrNil(first) else { return nil }
    return EntryMark(
        position: position, thread: try row.id(first + 1), number: try row.intOrNil(first + 2),
        author: try row.idOrNil(first + 3),
        clientID: try row.bytesOrNil(first + 4).flatMap { ClientID(bytes: $0) },
        at: Timestamp(microseconds: try row.int(first + 5)))
}

/// Of a `log_head` h and its `entry` e.
let markedHeadColumns: StaticString = """
    h.customer_id, h.epoch, h.head, e.position, e.thread_id, e.number, e.author_id, e.client_id, e.at
    """

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
