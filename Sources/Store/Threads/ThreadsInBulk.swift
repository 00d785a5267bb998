package import Domain
import SQLDatabase

extension Store {
    /// Threads made in one transaction.
    private static let threadsAtOnce = 5_000

    /// Makes very many threads of one user alone, each with the entry that creates it, as a year of use would.
    ///
    /// For measuring (`asm bench fairness`): through the API they would take their time, as rates are limited.
    package func makeThreads(_ count: Int, of user: User.ID, at customer: Customer.ID) async throws {
        let locks = database.engine == .postgres
        let first = Int64.random(in: 1...Int64.max / 2)
        let entry = StoredContent.encode(.created(subject: Sealed("Bench"), participants: [user]))
        for start in stride(from: 0, to: count, by: Self.threadsAtOnce) {
            let chunk = Int64(min(Self.threadsAtOnce, count - start))
            let base = first + Int64(start)
            try await database.write { session in
                let log = try LogWriter(customer: customer, fence: nil, session: session, locks: locks)
                let numbers: SQL = """
                    WITH RECURSIVE n (i) AS (
                        SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < \(chunk))
                    """
                try session.run(
                    numbers + """
                         INSERT INTO thread (id, customer_id, subject, created_at, last_number, last_position,
                                             last_shown_position)
                        SELECT \(base) + i, \(customer), 'Bench', \(log.now), 1, \(log.head) + i, \(log.head) + i FROM n
                        """)
                try session.run(
                    numbers + """
                         INSERT INTO participant (thread_id, user_id, joined_number, delivered_number, read_number)
                        SELECT \(base) + i, \(user), 1, 1, 1 FROM n
                        """)
                try session.run(
                    numbers + """
                         INSERT INTO entry (customer_id, position, thread_id, number, author_id, at, body_hash, kind, body)
                        SELECT \(customer), \(log.head) + i, \(base) + i, 1, \(user), \(log.now), 0, \(entry.kind),
                            \(Array(entry.body.utf8)) FROM n
                        """)
                try session.run(
                    "UPDATE log_head SET head = \(log.head + chunk) WHERE customer_id = \(customer)")
            }
        }
    }
}
