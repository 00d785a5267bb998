import Domain
import SQLDatabase

extension Store {
    /// Registers this process as the server at an address; an older process of that address is superseded.
    package func registerServer(address: String, version: String) async throws -> ServerFence {
        let boot = Token128.random()
        let locks = database.engine == .postgres
        return try await database.write { session in
            // Waits for appends that proved themselves with the old boot; those that follow see the new one.
            if locks { try session.run("SELECT 1 FROM server WHERE address = \(address) FOR UPDATE") }
            let row = try session.run(
                """
                INSERT INTO server (id, address, version, boot, started_at, last_active)
                VALUES (\(Int64.random(in: 1...Int64.max)), \(address), \(version), \(boot), \(.now), \(.now))
                ON CONFLICT (address) DO UPDATE SET boot = excluded.boot, version = excluded.version,
                    started_at = excluded.started_at, last_active = excluded.last_active
                RETURNING id
                """)[0]
            return ServerFence(server: try row.int(0), boot: boot)
        }
    }

    /// Says that this server is alive.
    /// - Returns: false when another process has registered as this server since.
    package func beat(_ fence: ServerFence) async throws -> Bool {
        let result = try await database.query(
            """
            UPDATE server SET beat = beat + 1, last_active = \(.now)
            WHERE id = \(fence.server) AND boot = \(fence.boot)
            """)
        return result.affectedRows > 0
    }
}
