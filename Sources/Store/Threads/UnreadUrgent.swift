package import Domain
import SQLDatabase

/// The urgent messages of others that a user has not read in a thread; one that was taken back counts no more.
package struct UnreadUrgent: Sendable, Hashable {
    /// At most `Store.urgentCounted`.
    package var count = 0
    /// The number of the oldest one.
    package var first: EntryNumber?
}

extension Store {
    /// Up to how many unread urgent messages of a thread are counted; nobody needs to tell more apart.
    package static let urgentCounted = 100
    /// How many urgent messages after the last read one are looked at: a user's own ones are among them and not counted.
    static let urgentScanned = 1_000
    /// … and in so many earlier stays at most.
    static let urgentStays = 1_000
}

/// Adds what is urgent and unread to the threads of one user, with one statement for all.
///
/// `entry_urgent` is an index of part of the entries, so both conditions of that part stand here as literals: the database
/// must see without the values of parameters that the index holds all that is asked for.
func addUnreadUrgent(
    to views: inout [ThreadView], of user: User.ID, session: any SQLSession
) throws {
    guard !views.isEmpty else { return }
    // The stays are read one after the other, so that what was said between them costs nothing.
    let unread: SQL = """
        SELECT s.number FROM (
            SELECT early.number, early.author_id FROM (
                SELECT e.number, e.author_id FROM (
                    SELECT s.joined_number, s.left_number FROM earlier_stay s
                    WHERE p.read_number < p.joined_number - 1
                        AND s.thread_id = p.thread_id AND s.user_id = p.user_id AND s.left_number > p.read_number
                    ORDER BY s.left_number LIMIT \(Store.urgentStays)
                ) AS stay JOIN entry e ON e.thread_id = p.thread_id AND e.priority > 0 AND e.kind = 1
                    AND e.number > p.read_number AND e.number >= stay.joined_number AND e.number <= stay.left_number
                LIMIT \(Store.urgentScanned)
            ) AS early
            UNION ALL SELECT late.number, late.author_id FROM (
                SELECT e.number, e.author_id FROM entry e
                WHERE e.thread_id = p.thread_id AND e.priority > 0 AND e.kind = 1 AND e.number > p.read_number
                    AND e.number >= p.joined_number AND (p.left_number IS NULL OR e.number <= p.left_number)
                ORDER BY e.number LIMIT \(Store.urgentScanned)
            ) AS late
        ) AS s WHERE s.author_id <> p.user_id
        """
    let rows = try session.run(
        """
        SELECT p.thread_id,
            (SELECT count(*) FROM (\(sql: unread) LIMIT \(Store.urgentCounted)) AS u),
            (SELECT min(u.number) FROM (\(sql: unread) LIMIT \(Store.urgentCounted)) AS u)
        FROM participant p
        WHERE p.user_id = \(user) AND p.thread_id \(in: views.map(\.thread.id.rawValue))
        """)
    var found: [MessageThread.ID: UnreadUrgent] = [:]
    for row in rows {
        found[try row.id(0)] = UnreadUrgent(count: Int(try row.int(1)), first: try row.intOrNil(2))
    }
    for index in views.indices { views[index].urgent = found[views[index].thread.id] ?? UnreadUrgent() }
}
