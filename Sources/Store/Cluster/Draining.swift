package import Domain
import SQLDatabase

extension Store {
    /// Asks a server to end in order; it sees that with its next beat.
    /// - Throws: `StoreError.noSuchServer`, `.serverIsStopped`.
    @discardableResult
    package func requestDrain(of address: String) async throws -> ServerRecord {
        let server = try await server(at: address)
        guard server.stoppedAt == nil else { throw StoreError.serverIsStopped(address) }
        try await setDrainRequest(1, for: server)
        return server
    }

    /// Takes the request back; a server that has seen it ends all the same.
    /// - Returns: false when there was none, or it was too late.
    /// - Throws: `StoreError.noSuchServer`.
    package func cancelDrain(of address: String) async throws -> Bool {
        let server = try await server(at: address)
        guard server.isDrainRequested, server.stoppedAt == nil, server.said != "draining" else {
            return false
        }
        try await setDrainRequest(0, for: server)
        return true
    }

    private func server(at address: String) async throws -> ServerRecord {
        let rows = try await database.query(ServerRecord.select + " WHERE s.address = \(address)")
        guard let row = rows.first else { throw StoreError.noSuchServer(address) }
        return try serverRecord(row)
    }

    /// Only for the process that was looked at: one started since is not meant.
    private func setDrainRequest(_ value: Int64, for server: ServerRecord) async throws {
        try await database.query(
            "UPDATE server SET drain_requested = \(value) WHERE id = \(server.id) AND boot = \(server.boot)")
    }
}
