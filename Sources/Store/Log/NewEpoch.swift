package import Domain
import SQLDatabase

extension Store {
    /// Starts a new epoch of a customer's log, or of every log: for a database that was restored from a backup.
    ///
    /// Clients may have followed the old log further than it now goes. To them the restored one is another log: they
    /// load it anew instead of waiting at a place that will mean something else. No server may be running.
    /// - Returns: how many logs there are.
    @discardableResult
    package func beginNewEpoch(of customer: Customer.ID?) async throws -> Int {
        try await database.write { session in
            let all = try session.run("SELECT customer_id FROM log_head ORDER BY customer_id")
            let ids: [Customer.ID] = try all.map { try $0.id(0) }.filter { customer == nil || $0 == customer }
            for id in ids {
                try session.run(
                    "UPDATE log_head SET epoch = \(LogEpoch.random()) WHERE customer_id = \(id)")
            }
            return ids.count
        }
    }

    /// Starts a new epoch of a log that lost entries, unless another server has done so.
    /// - Parameter lost: the epoch in which they were.
    package func beginNewEpoch(of customer: Customer.ID, after lost: LogEpoch) async throws {
        try await database.query(
            """
            UPDATE log_head SET epoch = \(LogEpoch.random()) WHERE customer_id = \(customer) AND epoch = \(lost)
            """)
    }
}
