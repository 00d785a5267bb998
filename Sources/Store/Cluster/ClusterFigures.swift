package import Domain
import SQLDatabase

/// What the whole installation holds, in figures for monitoring.
package struct ClusterFigures: Sendable, Hashable {
    /// High Availability licence slots that servers hold, and how many there are; nil: as many as one likes.
    package let slotsHeld: Int64
    package let slotLimit: Int64?
    /// E-mails that are still to go out, and those that were given up.
    package let mailsWaiting: Int64
    package let mailsDead: Int64
    /// By the database's clock.
    package let readAt: Timestamp
}

extension Store {
    package func clusterFigures() async throws -> ClusterFigures {
        let row = try await database.query(
            """
            SELECT \(sql: SlotTable.limit), (SELECT count(*) FROM ha_slot WHERE server_id IS NOT NULL),
                (SELECT count(*) FROM mail_outbox WHERE state = \(OutboxMail.State.waiting.rawValue)),
                (SELECT count(*) FROM mail_outbox WHERE state = \(OutboxMail.State.dead.rawValue)),
                \(.now)
            """)[0]
        let limit = try row.int(0)
        return ClusterFigures(
            slotsHeld: try row.int(1), slotLimit: limit == .max ? nil : limit, mailsWaiting: try row.int(2),
            mailsDead: try row.int(3), readAt: Timestamp(microseconds: try row.int(4)))
    }
}
