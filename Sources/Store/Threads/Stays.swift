package import Domain
import SQLDatabase

/// A time in which somebody took part in a thread: the numbers from the one that let them in to the one with which they left.
package struct Stay: Sendable, Hashable {
    package let joined: EntryNumber
    package let left: EntryNumber

    package init(joined: EntryNumber, left: EntryNumber) {
        self.joined = joined
        self.left = left
    }
}

/// A stay that was followed by another, with what tells receipts of the time between from others.
package struct EarlierStay: Sendable, Hashable {
    package let user: User.ID
    package let stay: Stay
    /// Of the entry with which the person left, and of the one with which they came back.
    package let leftPosition: LogPosition
    package let nextPosition: LogPosition

    package init(user: User.ID, stay: Stay, leftPosition: LogPosition, nextPosition: LogPosition) {
        self.user = user
        self.stay = stay
        self.leftPosition = leftPosition
        self.nextPosition = nextPosition
    }
}

/// The questions to `earlier_stay`, each answered by one look-up in an index. `thread` and `user` are columns or values.
enum StaySQL {
    /// Whether a number lies in an earlier stay; null, which is not true, where none ends at it or later.
    static func holds(_ number: SQL, thread: SQL, user: SQL) -> SQL {
        """
        \(sql: number) >= (
            SELECT s.joined_number FROM earlier_stay s
            WHERE s.thread_id = \(sql: thread) AND s.user_id = \(sql: user) AND s.left_number >= \(sql: number)
            ORDER BY s.left_number LIMIT 1)
        """
    }

    /// Whether a position lies between no two stays.
    static func isNoGap(_ position: SQL, thread: SQL, user: SQL) -> SQL {
        """
        COALESCE((
            SELECT s.left_position FROM earlier_stay s
            WHERE s.thread_id = \(sql: thread) AND s.user_id = \(sql: user) AND s.next_position > \(sql: position)
            ORDER BY s.next_position LIMIT 1), \(sql: position)) >= \(sql: position)
        """
    }

    /// How many entries of earlier stays the participant `p` has not read; nothing is looked up where the mark stands in
    /// the last stay, as nearly always.
    static let unread: SQL = """
        CASE WHEN p.read_number >= p.joined_number - 1 THEN 0 ELSE COALESCE((
            SELECT newest.shown FROM earlier_stay newest
            WHERE newest.thread_id = p.thread_id AND newest.user_id = p.user_id
            ORDER BY newest.left_number DESC LIMIT 1) - (
            SELECT s.shown - s.left_number + CASE
                WHEN p.read_number >= s.joined_number THEN p.read_number ELSE s.joined_number - 1 END
            FROM earlier_stay s
            WHERE s.thread_id = p.thread_id AND s.user_id = p.user_id AND s.left_number > p.read_number
            ORDER BY s.left_number LIMIT 1), 0) END
        """
}

extension LogWriter {
    /// Keeps the stay of somebody who left as an earlier one, before a new one begins with the last entry appended.
    func keepStay(of user: User.ID, in thread: MessageThread.ID) throws {
        let row = try session.run(
            """
            SELECT joined_number, left_number FROM participant
            WHERE thread_id = \(thread) AND user_id = \(user) AND left_number IS NOT NULL
            """
        ).first
        guard let row else { return }
        let (joined, left) = (try row.int(0), try row.int(1))
        let before = try session.run(
            """
            SELECT shown FROM earlier_stay WHERE thread_id = \(thread) AND user_id = \(user)
            ORDER BY left_number DESC LIMIT 1
            """
        ).first
        let shown = try before.map { try $0.int(0) } ?? 0
        try session.run(
            """
            INSERT INTO earlier_stay (thread_id, user_id, joined_number, left_number, joined_position, left_position,
                                      next_position, shown)
            VALUES (\(thread), \(user), \(joined), \(left), \(try position(of: joined, in: thread) ?? 0),
                    \(try position(of: left, in: thread) ?? head),
                    \(head), \(shown + left - joined + 1))
            """)
    }

    private func position(of number: EntryNumber, in thread: MessageThread.ID) throws -> LogPosition? {
        try session.run(
            """
            SELECT position FROM entry WHERE thread_id = \(thread) AND number = \(number)
            ORDER BY position DESC LIMIT 1
            """
        ).first?.int(0)
    }
}

extension Store {
    /// How many earlier stays thread details name, of the user who asks and of the others together: the newest ones.
    package static let staysShown = 1_000

    /// Whether somebody is in a thread now.
    package func takesPart(_ user: User, in thread: MessageThread.ID) async throws -> Bool {
        let rows = try await database.query(
            """
            SELECT 1 FROM participant p JOIN thread t ON t.id = p.thread_id AND t.customer_id = \(user.customer)
            WHERE p.thread_id = \(thread) AND p.user_id = \(user.id) AND p.left_number IS NULL
            """, on: .reads)
        return !rows.isEmpty
    }

    /// The earlier stays that ended at a position or later, or whose next one began there, for the cache of delivery.
    package func earlierStays(
        in threads: [MessageThread.ID], since position: LogPosition
    ) async throws -> [MessageThread.ID: [EarlierStay]] {
        let rows = try await database.query(
            """
            SELECT thread_id, user_id, joined_number, left_number, left_position, next_position FROM earlier_stay
            WHERE thread_id \(in: threads.map(\.rawValue)) AND next_position >= \(position)
            ORDER BY thread_id, next_position
            """)
        var found: [MessageThread.ID: [EarlierStay]] = [:]
        for row in rows {
            found[try row.id(0), default: []].append(
                EarlierStay(
                    user: try row.id(1), stay: Stay(joined: try row.int(2), left: try row.int(3)),
                    leftPosition: try row.int(4), nextPosition: try row.int(5)))
        }
        return found
    }
}

/// Adds the newest earlier stays to a thread's members, in the order of their numbers.
func addStays(to view: inout ThreadView, of user: User.ID, session: any SQLSession) throws {
    let columns: SQL = "SELECT user_id, joined_number, left_number FROM earlier_stay"
    let own = try session.run(
        """
        \(sql: columns) WHERE thread_id = \(view.thread.id) AND user_id = \(user)
        ORDER BY left_number DESC LIMIT \(Store.staysShown)
        """)
    let all = try session.run(
        """
        \(sql: columns) WHERE thread_id = \(view.thread.id) ORDER BY next_position DESC LIMIT \(Store.staysShown)
        """)
    var stays: [User.ID: Set<Stay>] = [:]
    for row in Array(own) + Array(all) {
        stays[try row.id(0), default: []].insert(Stay(joined: try row.int(1), left: try row.int(2)))
    }
    guard !stays.isEmpty else { return }
    for index in view.participants.indices {
        view.participants[index].earlier =
            stays[view.participants[index].user.id, default: []].sorted { $0.left < $1.left }
    }
}

/// A page of a thread's entries as one user sees them: all stays, and nothing between them.
struct StayWalk {
    let session: any SQLSession
    let thread: MessageThread.ID
    let user: User.ID

    /// Numbers from the first to the last, and where in the log they lie at most.
    private struct Range {
        let first: EntryNumber
        let last: EntryNumber
        var from: LogPosition = 0
        var to: LogPosition = .max
    }

    /// At most so many entries, beginning with the one nearest to where the page starts. Each stay has an entry at least,
    /// so no more stays are read than entries.
    func entries(_ page: HistoryPage, joined: EntryNumber, left: EntryNumber?, limit: Int) throws
        -> [LogEntry]
    {
        var last = Range(first: joined, last: left ?? .max)
        switch page {
        case .before(let number):
            let end = number ?? .max
            var found: [LogEntry] = []
            if end > joined {
                if let back = try newest(before: .max, limit: 1).first { last.from = back.next }
                found = try entries(of: last, page, limit: limit)
            }
            if found.count < limit {
                for stay in try newest(before: end, limit: limit - found.count) where found.count < limit {
                    found += try entries(of: stay.range, page, limit: limit - found.count)
                }
            }
            return found
        case .after(let number):
            var found: [LogEntry] = []
            if number < joined - 1 {
                for stay in try oldest(after: number, limit: limit) {
                    last.from = stay.next
                    guard found.count < limit else { return found }
                    found += try entries(of: stay.range, page, limit: limit - found.count)
                }
            }
            return found + (try entries(of: last, page, limit: limit - found.count))
        }
    }

    private func newest(before number: EntryNumber, limit: Int) throws -> [(range: Range, next: LogPosition)]
    {
        try stays(
            """
            WHERE thread_id = \(thread) AND user_id = \(user) AND joined_number < \(number)
            ORDER BY left_number DESC LIMIT \(limit)
            """)
    }

    private func oldest(after number: EntryNumber, limit: Int) throws -> [(range: Range, next: LogPosition)] {
        try stays(
            """
            WHERE thread_id = \(thread) AND user_id = \(user) AND left_number > \(number)
            ORDER BY left_number LIMIT \(limit)
            """)
    }

    private func stays(_ condition: SQL) throws -> [(range: Range, next: LogPosition)] {
        try session.run(
            """
            SELECT joined_number, left_number, joined_position, left_position, next_position FROM earlier_stay
            \(sql: condition)
            """
        ).map { row in
            let range = Range(
                first: try row.int(0), last: try row.int(1), from: try row.int(2), to: try row.int(3))
            return (range, try row.int(4))
        }
    }

    private func entries(of range: Range, _ page: HistoryPage, limit: Int) throws -> [LogEntry] {
        guard limit > 0 else { return [] }
        let within: SQL = """
            SELECT \(raw: entryColumns) FROM entry e
            WHERE e.thread_id = \(thread) AND e.position >= \(range.from) AND e.position <= \(range.to)
                AND e.number >= \(range.first) AND e.number <= \(range.last)
            """
        switch page {
        case .before(let number):
            return try session.run(
                """
                \(sql: within) AND e.number < \(number ?? .max) ORDER BY e.position DESC LIMIT \(limit)
                """
            ).map { try entry($0) }
        case .after(let number):
            return try session.run(
                "\(sql: within) AND e.number > \(number) ORDER BY e.position LIMIT \(limit)"
            ).map { try entry($0) }
        }
    }
}
