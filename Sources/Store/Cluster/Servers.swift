package import Domain
import Failpoints
import SQLDatabase

/// Who a running server is: void as soon as another process registers as the same server.
package struct ServerIdentity: Sendable, Hashable {
    package let server: Int64
    package let boot: Token128

    package init(server: Int64, boot: Token128) {
        self.server = server
        self.boot = boot
    }
}

/// What a server proves with every append: that it still holds the slot under which it serves.
///
/// Void as soon as the slot is claimed anew, by another process of the same server or by another server.
package struct ServerFence: Sendable, Hashable {
    package let server: Int64
    package let slot: Int64
    package let token: Int64

    package init(server: Int64, slot: Int64, token: Int64) {
        self.server = server
        self.slot = slot
        self.token = token
    }
}

/// A process that has registered: it may serve when it got a slot, and runs in Degraded Mode otherwise.
package struct RegisteredServer: Sendable, Hashable {
    package let identity: ServerIdentity
    package let fence: ServerFence?
}

/// What a server learns when it says that it is alive.
package struct BeatAnswer: Sendable, Hashable {
    package let isDrainRequested: Bool
    /// The slot that the database says this server holds.
    package let fence: ServerFence?
    /// How many slots there are by the licence.
    package let slotLimit: Int64
    /// Slots beyond that limit are held by somebody.
    package let slotsExceedLimit: Bool
    /// An incident is open against this server.
    package let hasIncident: Bool
}

extension Store {
    /// Registers this process as the server at an address and claims a slot for it, in one transaction.
    ///
    /// An older process of that address is superseded: appends that it had begun have ended when this returns, later ones
    /// are refused. Without a free slot, *Server Unlicensed* is raised.
    package func register(
        address: String, version: String, times: ClusterTimes = ClusterTimes()
    ) async throws -> RegisteredServer {
        let boot = Token128.random()
        let locks = database.engine == .postgres
        let registered = try await database.write(on: .heartbeat) { session in
            var slots = try SlotTable(session, locks: locks, times: times)
            // Waits for the appends of an older version, which prove the boot; those that follow see the new one.
            if locks { try session.run("SELECT 1 FROM server WHERE address = \(address) FOR UPDATE") }
            let server = try session.run(
                """
                INSERT INTO server (id, address, version, boot, started_at, last_active, beat_at, state)
                VALUES (\(Int64.random(in: 1...Int64.max)), \(address), \(version), \(boot), \(.now), \(.now), \(.now),
                        'starting')
                ON CONFLICT (address) DO UPDATE SET boot = excluded.boot, version = excluded.version,
                    started_at = excluded.started_at, last_active = excluded.last_active,
                    beat_at = excluded.beat_at, beat = server.beat + 1, state = excluded.state, reason = '',
                    drain_requested = 0, stopped_at = NULL
                RETURNING id
                """)[0].int(0)
            let fence = try slots.claim(for: server)
            if fence == nil { try session.raiseUnlicensed(server, address: address, key: "\(boot)") }
            return RegisteredServer(identity: ServerIdentity(server: server, boot: boot), fence: fence)
        }
        if registered.fence != nil {
            try await Failpoint.reach(.afterClaim, throwing: SQLError.unknownOutcome("a failpoint"))
        }
        return registered
    }

    /// Says that this server is alive, and in which state.
    /// - Parameter isActive: whether to write Last Active too, as is done each minute.
    /// - Returns: nil when another process has registered as this server since, or it was removed.
    package func beat(
        _ identity: ServerIdentity, state: String, reason: String = "", isActive: Bool = false
    ) async throws -> BeatAnswer? {
        let row = try await database.query(
            """
            UPDATE server SET beat = beat + 1, beat_at = \(.now), state = \(state), reason = \(reason),
                last_active = CASE WHEN \(isActive) = 1 THEN \(.now) ELSE last_active END
            WHERE id = \(identity.server) AND boot = \(identity.boot)
            RETURNING drain_requested,
                (SELECT slot FROM ha_slot WHERE server_id = server.id),
                (SELECT token FROM ha_slot WHERE server_id = server.id),
                (SELECT count(*) FROM ha_slot WHERE server_id IS NOT NULL AND slot > \(sql: SlotTable.limit)),
                (SELECT count(*) FROM incident WHERE server_id = server.id AND closed_at IS NULL),
                \(sql: SlotTable.limit)
            """, on: .heartbeat
        ).first
        guard let row else { return nil }
        var fence: ServerFence?
        if let slot = try row.intOrNil(1) {
            fence = ServerFence(server: identity.server, slot: slot, token: try row.int(2))
        }
        return BeatAnswer(
            isDrainRequested: try row.bool(0), fence: fence, slotLimit: try row.int(5),
            slotsExceedLimit: try row.bool(3),
            hasIncident: try row.bool(4))
    }

    /// Whether this process still is the server and holds its slot; reads only.
    package func holds(_ fence: ServerFence, as identity: ServerIdentity) async throws -> Bool {
        let rows = try await database.query(
            """
            SELECT 1 FROM server s JOIN ha_slot h ON h.server_id = s.id
            WHERE s.id = \(identity.server) AND s.boot = \(identity.boot)
                AND h.slot = \(fence.slot) AND h.token = \(fence.token)
            """, on: .heartbeat)
        return rows.rowCount > 0
    }

    /// Says that this server has stopped in order, and gives its slot back.
    package func stopped(_ identity: ServerIdentity) async throws {
        let locks = database.engine == .postgres
        try await database.write(on: .heartbeat) { session in
            var slots = try SlotTable(session, locks: locks)
            // One time for both: who has been heard of after it was stopped is not stopped.
            let now = try session.run("SELECT \(.now)")[0].int(0)
            let stopped = try session.run(
                """
                UPDATE server SET state = 'stopped', reason = '', stopped_at = \(now), beat_at = \(now)
                WHERE id = \(identity.server) AND boot = \(identity.boot)
                """)
            if stopped.affectedRows > 0 { try slots.release(of: identity.server) }
        }
    }

    /// Every server that has registered, by address.
    package func servers() async throws -> [ServerRecord] {
        try await database.query(ServerRecord.select + ServerRecord.order).map(serverRecord)
    }

    /// Forgets a server that will not come back: its slot is free, its incidents are closed.
    ///
    /// If it lives after all, it serves nothing more until it is started anew.
    /// - Throws: `StoreError.noSuchServer`, `StoreError.serverIsRunning`.
    package func removeServer(_ address: String, times: ClusterTimes = ClusterTimes()) async throws {
        let locks = database.engine == .postgres
        try await database.write { session in
            var slots = try SlotTable(session, locks: locks)
            let server = try session.server(at: address, locks: locks)
            guard !server.isBeating(times) else { throw StoreError.serverIsRunning(address) }
            try slots.release(of: server.id)
            try session.run(
                "UPDATE incident SET closed_at = \(.now) WHERE server_id = \(server.id) AND closed_at IS NULL"
            )
            try session.run("DELETE FROM server WHERE id = \(server.id)")
        }
    }

    /// Takes a server's slot, so that another server can serve under it.
    /// - Parameter evenRunning: also from a server that has been heard of lately.
    /// - Throws: `StoreError.noSuchServer`, `.serverIsRunning`, `.noSlot`.
    package func releaseSlot(
        of address: String, evenRunning: Bool, times: ClusterTimes = ClusterTimes()
    ) async throws -> Int64 {
        let locks = database.engine == .postgres
        return try await database.write { session in
            var slots = try SlotTable(session, locks: locks)
            let server = try session.server(at: address, locks: locks)
            guard let slot = server.slot else { throw StoreError.noSlot(address) }
            guard evenRunning || !server.isBeating(times) else { throw StoreError.serverIsRunning(address) }
            try slots.release(of: server.id)
            return slot
        }
    }
}

extension SQLSession {
    /// A server as it is, and stays until the transaction ends: one that starts meanwhile waits.
    /// - Throws: `StoreError.noSuchServer`.
    fileprivate func server(at address: String, locks: Bool) throws -> ServerRecord {
        if locks { try run("SELECT 1 FROM server WHERE address = \(address) FOR UPDATE") }
        let rows = try run(ServerRecord.select + " WHERE s.address = \(address)")
        guard let row = rows.first else { throw StoreError.noSuchServer(address) }
        return try serverRecord(row)
    }
}
