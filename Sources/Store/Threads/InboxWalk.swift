import Domain
import SQLDatabase

/// Finds a user's newest threads at a cost that is bounded by what is asked for, not by what exists.
///
/// An append to a thread of 500 people writes no row for each of them, so no index holds a user's threads in the order of
/// the inbox. There are two ways to find them, and which one is cheap depends on the user:
/// - Who takes part in few threads: all of these are looked at, at most `fewThreads`.
/// - Who takes part in many: the customer's threads are walked from the newest, by their index, and of each it is asked
///   whether the user is in it. Who is in many is met often; and when not, the page ends after `walked` threads with
///   what was found, and the next one goes on from there.
package struct InboxWalk {
    /// A user with more threads than this has many.
    package static let fewThreads = 2_000
    /// Threads of others that one page passes at most.
    package static let walked = 20_000
    /// Threads looked at in the first step of a walk, and how steps grow.
    static let firstStep = 512
    static let stepGrowth = 4

    let session: any SQLSession
    let user: User.ID
    let customer: Customer.ID

    /// The threads of a page, newest first; and before which position the next one begins, nil when there is none.
    struct Found {
        var threads: [MessageThread.ID] = []
        var next: LogPosition?
    }

    func newest(before: LogPosition, limit: Int) throws -> Found {
        let count = try session.run(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM participant WHERE user_id = \(user) LIMIT \(Self.fewThreads + 1)) counted
            """)[0].int(0)
        return count > Int64(Self.fewThreads)
            ? try ofMany(before: before, limit: limit) : try ofFew(before: before, limit: limit)
    }

    /// `LIMIT … OFFSET 0` keeps the look at the user's threads apart: it must not become a walk of the customer's.
    private func ofFew(before: LogPosition, limit: Int) throws -> Found {
        let rows = try session.run(
            """
            SELECT m.thread_id, m.shown FROM (
                SELECT p.thread_id, (
                    SELECT t.last_shown_position FROM thread t
                    WHERE t.id = p.thread_id AND t.customer_id = \(customer)) AS shown
                FROM participant p WHERE p.user_id = \(user) AND p.left_number IS NULL
                LIMIT \(Self.fewThreads) OFFSET 0) m
            WHERE m.shown < \(before) ORDER BY m.shown DESC LIMIT \(limit + 1)
            """)
        var found = Found()
        for row in rows.prefix(limit) { found.threads.append(try row.id(0)) }
        if rows.count > limit { found.next = try rows[limit - 1].int(1) }
        return found
    }

    private func ofMany(before: LogPosition, limit: Int) throws -> Found {
        var found = Found()
        var last = before
        var step = Self.firstStep
        var left = Self.walked
        while left > 0 {
            let asked = min(step, left)
            let rows = try session.run(
                """
                SELECT t.id, t.last_shown_position, (
                    SELECT 1 FROM participant p
                    WHERE p.thread_id = t.id AND p.user_id = \(user) AND p.left_number IS NULL)
                FROM thread t
                WHERE t.customer_id = \(customer) AND t.last_shown_position < \(last)
                ORDER BY t.last_shown_position DESC LIMIT \(asked)
                """)
            for row in rows {
                guard try row.intOrNil(2) != nil else {
                    last = try row.int(1)
                    continue
                }
                // One more than the page holds: only then is it certain that another page follows.
                guard found.threads.count < limit else {
                    found.next = last
                    return found
                }
                found.threads.append(try row.id(0))
                last = try row.int(1)
            }
            guard rows.count == asked else { return found }
            left -= asked
            step *= Self.stepGrowth
        }
        found.next = last
        return found
    }
}
