import Domain
import SQLDatabase

extension ServerRecord {
    static let select: SQL = """
        SELECT s.id, s.address, s.version, s.boot, s.beat,
            \(.now) - CASE WHEN s.beat_at > s.last_active THEN s.beat_at ELSE s.last_active END,
            s.state, s.reason, s.started_at, s.last_active,
            CASE WHEN s.stopped_at >= s.beat_at AND s.stopped_at >= s.last_active THEN s.stopped_at END,
            s.drain_requested, h.slot,
            (SELECT count(*) FROM incident i
             WHERE i.server_id = s.id AND i.closed_at IS NULL AND i.kind = 'inactive'),
            (SELECT count(*) FROM incident i
             WHERE i.server_id = s.id AND i.closed_at IS NULL AND i.kind = 'unreachable'),
            \(.now) - s.last_active
        FROM server s LEFT JOIN ha_slot h ON h.server_id = s.id
        """
    static let order: SQL = " ORDER BY s.address"
}

/// Reads `ServerRecord.select`.
func serverRecord(_ row: SQLRow) throws -> ServerRecord {
    var incidents: Set<IncidentKind> = []
    if try row.bool(13) { incidents.insert(.inactive) }
    if try row.bool(14) { incidents.insert(.unreachable) }
    return ServerRecord(
        id: try row.int(0), address: try row.string(1), version: try row.string(2), boot: try row.token(3),
        beat: try row.int(4), silentMicroseconds: try row.int(5), inactiveMicroseconds: try row.int(15),
        said: try row.string(6), reason: try row.string(7),
        startedAt: Timestamp(microseconds: try row.int(8)),
        lastActive: Timestamp(microseconds: try row.int(9)),
        stoppedAt: try row.intOrNil(10).map(Timestamp.init(microseconds:)),
        isDrainRequested: try row.bool(11), slot: try row.intOrNil(12), incidents: incidents)
}
