package import Domain
import Failpoints
import SQLDatabase

/// The High Availability licence slots, locked for the length of one transaction.
///
/// Whoever changes them locks the installation's row first, so one at a time does. Then a slot's own row is changed, which
/// waits for every append that has proved its token; no append holds anything that is waited for here, so there is no
/// deadlock.
struct SlotTable {
    /// How many slots there are now, as SQL: without a licence or a limit as many as one likes; after a licence's expiry
    /// one, as in the standard system.
    static let limit: SQL = """
        coalesce((SELECT CASE WHEN expires_at <= \(.now) THEN \(LicenceTerms.serversAfterExpiry) ELSE servers END
                  FROM licence), \(Int64.max))
        """

    private let session: any SQLSession
    private let times: ClusterTimes
    let limit: Int64

    init(_ session: any SQLSession, locks: Bool, times: ClusterTimes = ClusterTimes()) throws {
        self.session = session
        self.times = times
        if locks { try session.run("SELECT 1 FROM installation WHERE single = 1 FOR UPDATE") }
        limit = try session.run("SELECT " + Self.limit)[0].int(0)
    }

    /// Gives a server its own slot or a free one, under a new token; nil when there is none.
    mutating func claim(for server: Int64) throws -> ServerFence? {
        let own = try session.run("SELECT slot FROM ha_slot WHERE server_id = \(server)").first?.int(0)
        if let own, own <= limit { return try take(own, for: server) }
        if own != nil { try release(of: server) }
        guard let free = try freeSlot() else { return nil }
        return try take(free, for: server)
    }

    /// A slot that nobody holds, else a new one, else that of a server that is known to be gone.
    private func freeSlot() throws -> Int64? {
        let unheld = try session.run(
            "SELECT min(slot) FROM ha_slot WHERE server_id IS NULL AND slot <= \(limit)")[0].intOrNil(0)
        if let unheld { return unheld }
        let last = try session.run("SELECT coalesce(max(slot), 0) FROM ha_slot")[0].int(0)
        if last < limit {
            try session.run("INSERT INTO ha_slot (slot) VALUES (\(last + 1))")
            return last + 1
        }
        return try session.run(
            """
            SELECT min(h.slot) FROM ha_slot h JOIN server s ON s.id = h.server_id
            JOIN incident i ON i.server_id = s.id AND i.kind = \(IncidentKind.inactive.rawValue)
                AND i.closed_at IS NULL
            WHERE h.slot <= \(limit) AND \(sql: ServerRecord.isSilent(times))
            """)[0].intOrNil(0)
    }

    private func take(_ slot: Int64, for server: Int64) throws -> ServerFence {
        let token = try session.run(
            """
            UPDATE ha_slot SET server_id = \(server), token = token + 1, claimed_at = \(.now)
            WHERE slot = \(slot) RETURNING token
            """)[0].int(0)
        return ServerFence(server: server, slot: slot, token: token)
    }

    /// Voids what a server holds; it may claim again.
    mutating func release(of server: Int64) throws {
        try session.run(
            """
            UPDATE ha_slot SET server_id = NULL, token = token + 1, claimed_at = \(.now)
            WHERE server_id = \(server)
            """)
    }

    /// Voids the slots beyond the limit, the highest first to go.
    ///
    /// Whoever lives goes before who is silent: for each server that loses its slot alive, one within the limit is left
    /// free, even if a silent server has to lose it. So the last server that serves is not ended by a number.
    /// - Returns: who lost a slot.
    mutating func releaseBeyondLimit() throws -> [Int64] {
        let beyond = try session.run(
            """
            SELECT h.server_id, \(sql: ServerRecord.isSilent(times)) FROM ha_slot h JOIN server s ON s.id = h.server_id
            WHERE h.slot > \(limit) ORDER BY h.slot DESC
            """
        ).map { (server: try $0.int(0), isSilent: try $0.bool(1)) }
        guard !beyond.isEmpty else { return [] }
        let held = try session.run(
            "SELECT count(*) FROM ha_slot WHERE server_id IS NOT NULL AND slot <= \(limit)")[0].int(0)
        let wanted = Int64(beyond.count { !$0.isSilent }) - (limit - held)
        let silent = try session.run(
            """
            SELECT h.server_id FROM ha_slot h JOIN server s ON s.id = h.server_id
            WHERE h.slot <= \(limit) AND \(sql: ServerRecord.isSilent(times)) ORDER BY h.slot LIMIT \(max(wanted, 0))
            """
        ).map { try $0.int(0) }
        let losers = beyond.map(\.server) + silent
        for server in losers { try release(of: server) }
        return losers
    }

    /// Whether a claim could succeed, without any lock.
    static func mayClaim(_ server: Int64, _ session: any SQLSession, _ times: ClusterTimes) throws -> Bool {
        let row = try session.run(
            """
            SELECT \(sql: limit), (SELECT count(*) FROM ha_slot h
                WHERE h.server_id IS NOT NULL AND h.server_id <> \(server) AND h.slot <= \(sql: limit)
                    AND NOT EXISTS (
                        SELECT 1 FROM server s JOIN incident i ON i.server_id = s.id
                        WHERE s.id = h.server_id AND i.kind = \(IncidentKind.inactive.rawValue)
                            AND i.closed_at IS NULL
                            AND \(sql: ServerRecord.isSilent(times))))
            """)[0]
        return try row.int(1) < row.int(0)
    }
}

extension Store {
    /// Claims a slot for a running server that has none.
    ///
    /// - Parameter lost: the fence that it held until now; its loss is told as *Server Unlicensed* when there is no other
    ///   slot, once.
    /// - Returns: nil when none is free.
    /// - Throws: `StoreError.superseded`.
    package func claimSlot(
        _ identity: ServerIdentity, lost: ServerFence? = nil, times: ClusterTimes = ClusterTimes()
    ) async throws -> ServerFence? {
        let locks = database.engine == .postgres
        let claimed = try await database.write(on: .heartbeat) { session -> ServerFence? in
            // Most tries of a server in Degraded Mode end here, without a lock.
            if try lost == nil && !SlotTable.mayClaim(identity.server, session, times) { return nil }
            var slots = try SlotTable(session, locks: locks, times: times)
            let row = try session.run(
                "SELECT address FROM server WHERE id = \(identity.server) AND boot = \(identity.boot)"
            ).first
            guard let address = try row?.string(0) else { throw StoreError.superseded }
            let fence = try slots.claim(for: identity.server)
            if fence == nil, let lost {
                try session.raiseUnlicensed(
                    identity.server, address: address, key: "\(identity.boot) \(lost.slot) \(lost.token)")
            }
            return fence
        }
        if claimed != nil {
            try await Failpoint.reach(.afterClaim, throwing: SQLError.unknownOutcome("a failpoint"))
        }
        return claimed
    }

    /// Voids the slots beyond the licence's limit: it was replaced by a smaller one, or has expired.
    /// - Returns: the servers that held them.
    @discardableResult
    package func enforceSlotLimit(times: ClusterTimes = ClusterTimes()) async throws -> [Int64] {
        let locks = database.engine == .postgres
        return try await database.write(on: .heartbeat) { session in
            var slots = try SlotTable(session, locks: locks, times: times)
            return try slots.releaseBeyondLimit()
        }
    }
}
