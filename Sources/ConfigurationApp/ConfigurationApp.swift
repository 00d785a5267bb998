package import Store

/// The ASM Configuration: what an installer runs on a server before any component starts.
///
/// It will ask for the database, the archive and the certificates, try each, and write the components' settings. So
/// far it does the step on which all others rest: bringing the database to this version's schema.
package struct ConfigurationApp: Sendable {
    private let store: Store

    package init(store: Store) { self.store = store }

    /// Brings the database to this version's schema; safe to repeat.
    ///
    /// - Returns: the numbers of the migrations that were applied now.
    /// - Throws: `SQLError`; `misconfigured` when a newer version has migrated the database.
    package func prepareDatabase() async throws -> [Int] { try await store.migrate() }
}
