package import Domain
import SQLDatabase

/// A thread as one of its users sees it.
package struct ThreadView: Sendable {
    package let thread: MessageThread
    package let delivered: EntryNumber
    package let read: EntryNumber
    /// In order of name; `participantCount` says how many take part now, also when the list was cut.
    package var participants: [ThreadMember]
    package var participantCount: Int
    package var last: LogEntry?
    /// Set when the user has left the thread: its last entry for them.
    package let leftNumber: EntryNumber?

    /// What people see and this user has not read.
    package var unread: Int64 { max(0, (leftNumber ?? thread.lastNumber) - read) }
}

/// A participant with the name that goes with the id.
package struct ThreadMember: Sendable {
    package let user: User
    package let place: Participant
}

/// One page of a user's threads, newest first.
package struct InboxPage: Sendable {
    package let head: LogHead
    package let threads: [ThreadView]
    /// The `before` of the next page; nil when this is the last.
    package let next: LogPosition?
}

extension Store {
    /// How many participants an inbox line names.
    package static let inboxParticipants = 10

    /// The user's threads whose last visible entry lies before `before`, newest first, in one snapshot.
    package func inbox(
        of user: User.ID, at customer: Customer.ID, before: LogPosition?, limit: Int
    ) async throws -> InboxPage {
        try await database.read { session in
            let headRow = try session.run("SELECT epoch, head FROM log_head WHERE customer_id = \(customer)")[
                0]
            let rows = try session.run(
                """
                SELECT \(raw: threadColumns), \(raw: entryColumns)
                FROM participant p JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer)
                JOIN entry e ON e.customer_id = \(customer) AND e.position = t.last_shown_position
                WHERE p.user_id = \(user) AND p.left_number IS NULL AND t.last_shown_position < \(before ?? .max)
                ORDER BY t.last_shown_position DESC LIMIT \(limit + 1)
                """)
            var threads: [ThreadView] = []
            for row in rows.prefix(limit) {
                var view = try threadView(row)
                view.last = try entry(row, from: threadColumnCount)
                try addMembers(
                    to: &view, session: session, limit: Self.inboxParticipants, includingLeft: false)
                threads.append(view)
            }
            let next = rows.count > limit ? threads.last?.last?.position : nil
            return InboxPage(
                head: LogHead(epoch: try headRow.token(0), position: try headRow.int(1)), threads: threads,
                next: next)
        }
    }

    /// One thread with all its participants; nil when the user has no part in it.
    package func thread(
        _ thread: MessageThread.ID, for user: User.ID, at customer: Customer.ID
    ) async throws -> ThreadView? {
        try await database.read { session in
            let row = try session.run(
                """
                SELECT \(raw: threadColumns) FROM participant p
                JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer)
                WHERE p.thread_id = \(thread) AND p.user_id = \(user)
                """
            ).first
            guard let row else { return nil }
            var view = try threadView(row)
            try addMembers(to: &view, session: session, limit: Int(Int32.max), includingLeft: true)
            return view
        }
    }

    /// A page of a thread's visible entries, ascending: the last ones before a number, or the first ones after one.
    /// - Returns: nil when the user has no part in the thread.
    package func history(
        of thread: MessageThread.ID, for user: User.ID, at customer: Customer.ID, page: HistoryPage,
        limit: Int
    ) async throws -> (entries: [LogEntry], more: Bool)? {
        try await database.read { session in
            let row = try session.run(
                """
                SELECT p.joined_number, p.left_number FROM participant p
                JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer)
                WHERE p.thread_id = \(thread) AND p.user_id = \(user)
                """
            ).first
            guard let row else { return nil }
            let first = try row.int(0)
            let last = try row.intOrNil(1) ?? .max
            let rows: SQLResult
            switch page {
            case .before(let number):
                rows = try session.run(
                    """
                    SELECT \(raw: entryColumns) FROM entry e
                    WHERE e.thread_id = \(thread) AND e.number < \(number ?? .max)
                        AND e.number >= \(first) AND e.number <= \(last)
                    ORDER BY e.position DESC LIMIT \(limit + 1)
                    """)
            case .after(let number):
                rows = try session.run(
                    """
                    SELECT \(raw: entryColumns) FROM entry e
                    WHERE e.thread_id = \(thread) AND e.number > \(number)
                        AND e.number >= \(first) AND e.number <= \(last)
                    ORDER BY e.position LIMIT \(limit + 1)
                    """)
            }
            let entries = try rows.prefix(limit).map { try entry($0) }
            if case .before = page { return (entries.reversed(), rows.count > limit) }
            return (entries, rows.count > limit)
        }
    }

    /// A message and when each participant got and read it; nil when the user cannot see it.
    package func message(
        _ number: EntryNumber, in thread: MessageThread.ID, for user: User.ID, at customer: Customer.ID
    ) async throws -> (entry: LogEntry, receipts: [MessageReceipt])? {
        guard number > 0, let view = try await self.thread(thread, for: user, at: customer) else {
            return nil
        }
        let page = try await history(
            of: thread, for: user, at: customer, page: .after(number - 1), limit: 1)
        guard let message = page?.entries.first, message.number == number else { return nil }
        let rows = try await database.query(
            """
            SELECT \(raw: entryColumns) FROM entry e
            WHERE e.thread_id = \(thread) AND e.position > \(message.position)
                AND e.kind = \(StoredContent.Kind.receipts.rawValue)
            ORDER BY e.position LIMIT \(Self.receiptsScanned)
            """)
        var delivered: [User.ID: Timestamp] = [:]
        var read: [User.ID: Timestamp] = [:]
        for row in rows {
            let line = try entry(row)
            guard case .receipts(let receipts) = line.content else { continue }
            for receipt in receipts {
                if receipt.delivered >= number, delivered[receipt.user] == nil {
                    delivered[receipt.user] = line.at
                }
                if receipt.read >= number, read[receipt.user] == nil { read[receipt.user] = line.at }
            }
        }
        let receipts = view.participants
            .filter { $0.user.id != message.author && $0.place.joinedNumber <= number }
            .map { MessageReceipt(user: $0.user, delivered: delivered[$0.user.id], read: read[$0.user.id]) }
        return (message, receipts)
    }

    /// How many receipt entries after a message are searched for its times.
    static let receiptsScanned = 10_000

    /// Everyone who is or was in these threads, for the cache that delivery keeps.
    package func participants(
        of threads: [MessageThread.ID]
    ) async throws -> [MessageThread.ID: [Participant]] {
        let rows = try await database.query(
            """
            SELECT user_id, joined_number, left_number, delivered_number, read_number, thread_id FROM participant
            WHERE thread_id \(in: threads.map(\.rawValue))
            """)
        var found: [MessageThread.ID: [Participant]] = [:]
        for row in rows { found[try row.id(5), default: []].append(try participant(row, from: 0)) }
        return found
    }

    /// The authors of the newest visible entries of a thread, newest first.
    package func recentAuthors(
        of thread: MessageThread.ID, limit: Int
    ) async throws -> [(number: EntryNumber, author: User.ID)] {
        let rows = try await database.query(
            """
            SELECT number, author_id FROM entry
            WHERE thread_id = \(thread) AND number IS NOT NULL AND author_id IS NOT NULL
            ORDER BY position DESC LIMIT \(limit)
            """)
        return try rows.map { (try $0.int(0), try $0.id(1)) }
    }
}

/// Which page of a thread's history.
package enum HistoryPage: Sendable {
    /// The last ones before the number; the newest when nil.
    case before(EntryNumber?)
    case after(EntryNumber)
}

/// When one participant got and read a message; nil: not yet.
package struct MessageReceipt: Sendable {
    package let user: User
    package let delivered: Timestamp?
    package let read: Timestamp?
}

private let threadColumns: StaticString = """
    t.id, t.subject, t.closed, t.last_number, t.last_position, p.delivered_number, p.read_number, p.left_number
    """
private let threadColumnCount = 8

private func threadView(_ row: SQLRow) throws -> ThreadView {
    ThreadView(
        thread: MessageThread(
            id: try row.id(0), subject: Sealed(try row.string(1)), isClosed: try row.bool(2),
            lastNumber: try row.int(3), lastPosition: try row.int(4)),
        delivered: try row.int(5), read: try row.int(6), participants: [], participantCount: 0, last: nil,
        leftNumber: try row.intOrNil(7))
}

private func participant(_ row: SQLRow, from column: Int) throws -> Participant {
    Participant(
        user: try row.id(column), joinedNumber: try row.int(column + 1),
        leftNumber: try row.intOrNil(column + 2),
        delivered: try row.int(column + 3), read: try row.int(column + 4))
}

/// Adds the participants in order of name; those who have left only when they are asked for.
private func addMembers(
    to view: inout ThreadView, session: any SQLSession, limit: Int, includingLeft: Bool
) throws {
    let present: SQL = includingLeft ? "" : " AND p.left_number IS NULL"
    let rows = try session.run(
        """
        SELECT u.id, u.customer_id, u.login, u.name,
            p.user_id, p.joined_number, p.left_number, p.delivered_number, p.read_number
        FROM participant p JOIN app_user u ON u.id = p.user_id
        WHERE p.thread_id = \(view.thread.id)\(sql: present) ORDER BY u.name, u.id LIMIT \(limit)
        """)
    view.participants = try rows.map {
        ThreadMember(user: try user($0), place: try participant($0, from: 4))
    }
    view.participantCount = view.participants.count { $0.place.leftNumber == nil }
    guard rows.count == limit else { return }
    view.participantCount = Int(
        try session.run(
            """
            SELECT count(*) FROM participant WHERE thread_id = \(view.thread.id) AND left_number IS NULL
            """)[0].int(0))
}
