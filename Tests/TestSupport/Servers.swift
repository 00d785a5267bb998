package import Store

extension Store {
    /// Registers a server that gets a slot, as every one does where no licence limits them.
    package func registerServer(address: String, version: String) async throws -> ServerFence {
        guard let fence = try await register(address: address, version: version).fence else {
            throw StoreError.noSlot(address)
        }
        return fence
    }
}
