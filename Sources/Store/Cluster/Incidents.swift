package import Domain
import SQLDatabase

extension ServerRecord {
    /// Whether server `s` has not been heard of lately, as SQL.
    ///
    /// A time that lies ahead is as old as one that long ago: the database's clock was set back since it was written, as
    /// at a failover to a host with another clock.
    static func isSilent(_ times: ClusterTimes) -> SQL {
        "abs(\(.now) - s.beat_at) > \(times.unreachableAfter.microseconds)"
    }
}

extension Store {
    /// Opens an incident against a server that an observer has not heard of, unless one is open, and raises its event in
    /// the same transaction.
    ///
    /// One conditional statement decides: the server still stands at the beat that the observer has seen, its times are
    /// overdue by the database's clock, and the observer is itself registered and fresh. So neither a jump of that clock
    /// nor an outage of the database opens one, and of many observers one does.
    /// - Parameter silent: how it was when the observer looked last.
    /// - Returns: whether this call opened it.
    package func openIncident(
        _ kind: IncidentKind, against silent: ServerRecord, by observer: ServerIdentity,
        times: ClusterTimes = ClusterTimes()
    ) async throws -> Bool {
        let locks = database.engine == .postgres
        return try await database.write { session in
            // A beat that is being written is waited for, and then is another than the one seen.
            if locks { try session.run("SELECT 1 FROM server WHERE id = \(silent.id) FOR UPDATE") }
            let overdue: SQL =
                switch kind {
                case .inactive: "abs(\(.now) - s.last_active) > \(times.inactiveAfter.microseconds)"
                case .unreachable: ServerRecord.isSilent(times)
                }
            let opened = try session.run(
                """
                INSERT INTO incident (id, kind, server_id, opened_at, opened_by)
                SELECT \(Int64.random(in: 1...Int64.max)), \(kind.rawValue), s.id, \(.now), o.id
                FROM server s, server o
                WHERE s.id = \(silent.id) AND s.boot = \(silent.boot) AND s.beat = \(silent.beat)
                    AND \(sql: overdue)
                    AND o.id = \(observer.server) AND o.boot = \(observer.boot) AND o.id <> s.id
                    AND o.last_active > \(.now) - \(times.freshWithin.microseconds)
                ON CONFLICT DO NOTHING RETURNING id
                """
            ).first
            guard let incident = try opened?.int(0) else { return false }
            switch kind {
            case .inactive: try session.raiseInactive(silent, incident: incident, times)
            case .unreachable: try session.raiseUnreachable(silent, incident: incident, times)
            }
            return true
        }
    }

    /// Closes the incidents of these kinds against a server that is back and stable, in its own name.
    package func closeIncidents(_ kinds: Set<IncidentKind>, of identity: ServerIdentity) async throws {
        try await database.write(on: .heartbeat) { session in
            for kind in kinds.sorted(by: { $0.rawValue < $1.rawValue }) {
                try session.run(
                    """
                    UPDATE incident SET closed_at = \(.now)
                    WHERE server_id = \(identity.server) AND kind = \(kind.rawValue) AND closed_at IS NULL
                        AND EXISTS (SELECT 1 FROM server WHERE id = \(identity.server) AND boot = \(identity.boot))
                    """)
            }
        }
    }

    /// Every incident of a server, oldest first.
    package func incidents(of server: Int64) async throws -> [Incident] {
        try await database.query(
            """
            SELECT id, kind, opened_at, opened_by, closed_at FROM incident
            WHERE server_id = \(server) ORDER BY opened_at, id
            """
        ).compactMap { row in
            guard let kind = IncidentKind(rawValue: try row.string(1)) else { return nil }
            return Incident(
                id: try row.int(0), kind: kind, openedAt: Timestamp(microseconds: try row.int(2)),
                openedBy: try row.int(3), closedAt: try row.intOrNil(4).map(Timestamp.init(microseconds:)))
        }
    }
}

/// One outage of one server.
package struct Incident: Sendable, Hashable {
    package let id: Int64
    package let kind: IncidentKind
    package let openedAt: Timestamp
    package let openedBy: Int64
    package let closedAt: Timestamp?
}
