package import Domain
import SQLDatabase

extension Store {
    /// Whether an acknowledged message can be lost, from what the database says of its replication now.
    package func replication() async throws -> ReplicationReport {
        guard database.engine == .postgres else {
            return ReplicationReport(
                canLose: .no, reason: "Every answer waits until the message is on this machine's disk.")
        }
        return try await database.read { session in
            let settings = try session.run(
                """
                SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
                    current_setting('fsync')
                """)[0]
            let standbys = try session.run(
                """
                SELECT application_name, coalesce(sync_state, ''), coalesce(state, ''),
                    pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint,
                    (extract(epoch FROM flush_lag) * 1000000)::bigint
                FROM pg_stat_replication ORDER BY application_name, pid LIMIT \(Self.standbysShown)
                """
            ).map { row in
                ReplicationReport.Standby(
                    name: try row.string(0), syncState: try row.string(1), state: try row.string(2),
                    lagBytes: try row.intOrNil(3), lagMicroseconds: try row.intOrNil(4))
            }
            let idle = try session.run(
                "SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active"
            )[0].int(0)
            return ReplicationFacts(
                synchronousCommit: try settings.string(0), synchronousStandbyNames: try settings.string(1),
                fsync: try settings.string(2), idleSlots: Int(idle), standbys: standbys
            ).report
        }
    }

    private static let standbysShown = 100
}
