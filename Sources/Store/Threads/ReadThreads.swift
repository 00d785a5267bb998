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
    package var urgent = UnreadUrgent()
    /// Set when the user has left the thread: its last entry for them.
    package let leftNumber: EntryNumber?

    /// Where the user's last stay began.
    package let joinedNumber: EntryNumber
    /// How much of earlier stays the user has not read.
    package let unreadEarlier: Int64

    /// What this user could see, in all stays, and has not read.
    package var unread: Int64 {
        max(0, (leftNumber ?? thread.lastNumber) - max(read, joinedNumber - 1)) + unreadEarlier
    }
}

/// A participant with the name that goes with the id.
package struct ThreadMember: Sendable {
    package let user: User
    package let place: Participant
    /// The stays before the last one, oldest first; only in a thread's details.
    package var earlier: [Stay] = []
}

/// One page of a user's threads, newest first.
package struct InboxPage: Sendable {
    package let head: LogHead
    /// Of the entry at the head; nil when there is none.
    package let mark: EntryMark?
    package let threads: [ThreadView]
    /// The `before` of the next page; nil when this is the last.
    package let next: LogPosition?
}

extension Store {
    /// How many participants an inbox line names.
    package static let inboxParticipants = 10
    /// … of so many at most, so that a page costs no more than its threads are worth.
    package static let inboxCandidates = 100

    /// The user's threads whose last visible entry lies before `before`, newest first, in one snapshot.
    package func inbox(
        of user: User.ID, at customer: Customer.ID, before: LogPosition?, limit: Int
    ) async throws -> InboxPage {
        try await database.read { session in
            let end = try Self.markedHead(
                session.run(
                    """
                    SELECT \(raw: markedHeadColumns) FROM log_head h
                    LEFT JOIN entry e ON e.customer_id = h.customer_id AND e.position = h.head
                    WHERE h.customer_id = \(customer)
                    """)[0])
            let walk = InboxWalk(session: session, user: user, customer: customer)
            let found = try walk.newest(before: before ?? .max, limit: limit)
            let rows = try session.run(
                """
                SELECT \(sql: threadColumns), \(raw: entryColumns)
                FROM participant p JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer)
                JOIN entry e ON e.customer_id = \(customer) AND e.position = t.last_shown_position
                WHERE p.user_id = \(user) AND p.thread_id \(in: found.threads.map(\.rawValue))
                ORDER BY t.last_shown_position DESC
                """)
            var threads = try rows.map { row in
                var view = try threadView(row)
                view.last = try entry(row, from: threadColumnCount)
                return view
            }
            try addInboxMembers(to: &threads, session: session)
            try addUnreadUrgent(to: &threads, of: user, session: session)
            return InboxPage(head: end.head, mark: end.mark, threads: threads, next: found.next)
        }
    }

    /// One thread with all its participants; nil when the user has no part in it.
    package func thread(
        _ thread: MessageThread.ID, for user: User.ID, at customer: Customer.ID
    ) async throws -> ThreadView? {
        try await database.read { session in
            let row = try session.run(
                """
                SELECT \(sql: threadColumns) FROM participant p
                JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(customer)
                WHERE p.thread_id = \(thread) AND p.user_id = \(user)
                """
            ).first
            guard let row else { return nil }
            var view = try threadView(row)
            try addMembers(to: &view, session: session)
            try addStays(to: &view, of: user, session: session)
            view.last = try lastShown(of: view, at: customer, session: session)
            var views = [view]
            try addUnreadUrgent(to: &views, of: user, session: session)
            return views[0]
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
            let walk = StayWalk(session: session, thread: thread, user: user)
            let found = try walk.entries(
                page, joined: try row.int(0), left: try row.intOrNil(1), limit: limit + 1)
            let entries = found.prefix(limit)
            if case .before = page { return (entries.reversed(), found.count > limit) }
            return (Array(entries), found.count > limit)
        }
    }

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

private let threadColumns: SQL = """
    t.id, t.subject, t.closed, t.last_number, t.last_position, p.delivered_number, p.read_number, p.left_number,
    t.last_shown_position, p.joined_number, \(sql: StaySQL.unread)
    """
private let threadColumnCount = 11

private func threadView(_ row: SQLRow) throws -> ThreadView {
    ThreadView(
        thread: MessageThread(
            id: try row.id(0), subject: Sealed(try row.string(1)), isClosed: try row.bool(2),
            lastNumber: try row.int(3), lastPosition: try row.int(4),
            lastShownPosition: try row.int(8)),
        delivered: try row.int(5), read: try row.int(6), participants: [], participantCount: 0, last: nil,
        leftNumber: try row.intOrNil(7), joinedNumber: try row.int(9), unreadEarlier: try row.int(10))
}

private func participant(_ row: SQLRow, from column: Int) throws -> Participant {
    Participant(
        user: try row.id(column), joinedNumber: try row.int(column + 1),
        leftNumber: try row.intOrNil(column + 2),
        delivered: try row.int(column + 3), read: try row.int(column + 4))
}

/// The last entry that the user sees of a thread; nil for one who has left, whose last one is not the thread's.
private func lastShown(
    of view: ThreadView, at customer: Customer.ID, session: any SQLSession
) throws -> LogEntry? {
    guard view.leftNumber == nil else { return nil }
    let rows = try session.run(
        """
        SELECT \(raw: entryColumns) FROM entry e
        WHERE e.customer_id = \(customer) AND e.position = \(view.thread.lastShownPosition)
        """)
    return try rows.first.map { try entry($0) }
}

/// Adds everybody who is or was in the thread, in order of name.
private func addMembers(to view: inout ThreadView, session: any SQLSession) throws {
    let rows = try session.run(
        """
        SELECT u.id, u.customer_id, u.login, u.name,
            p.user_id, p.joined_number, p.left_number, p.delivered_number, p.read_number
        FROM participant p JOIN app_user u ON u.id = p.user_id
        WHERE p.thread_id = \(view.thread.id) ORDER BY u.name, u.id
        """)
    view.participants = try rows.map {
        ThreadMember(user: try user($0), place: try participant($0, from: 4))
    }
    view.participantCount = view.participants.count { $0.place.leftNumber == nil }
}

/// Adds the first of those who take part, in order of name, to all threads of a page in one statement.
///
/// Of a thread with very many, the names are those of the first `inboxCandidates` by id.
private func addInboxMembers(to views: inout [ThreadView], session: any SQLSession) throws {
    guard !views.isEmpty else { return }
    let rows = try session.run(
        """
        SELECT u.id, u.customer_id, u.login, u.name,
            m.user_id, m.joined_number, m.left_number, m.delivered_number, m.read_number, m.thread_id, m.present
        FROM (
            SELECT user_id, joined_number, left_number, delivered_number, read_number, thread_id,
                row_number() OVER (PARTITION BY thread_id ORDER BY user_id) AS place,
                count(*) OVER (PARTITION BY thread_id) AS present
            FROM participant
            WHERE thread_id \(in: views.map(\.thread.id.rawValue)) AND left_number IS NULL
        ) m JOIN app_user u ON u.id = m.user_id
        WHERE m.place <= \(Store.inboxCandidates) ORDER BY u.name, u.id
        """)
    var members: [MessageThread.ID: (named: [ThreadMember], count: Int)] = [:]
    for row in rows {
        let thread: MessageThread.ID = try row.id(9)
        let count = Int(try row.int(10))
        members[thread, default: ([], count)].named.append(
            ThreadMember(user: try user(row), place: try participant(row, from: 4)))
    }
    for index in views.indices {
        guard let found = members[views[index].thread.id] else { continue }
        views[index].participants = Array(found.named.prefix(Store.inboxParticipants))
        views[index].participantCount = found.count
    }
}
