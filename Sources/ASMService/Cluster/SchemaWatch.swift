import Logging
import SQLDatabase
import Store

/// Looks each minute whether this version can still work with the schema, which a newer one may have changed under it.
struct SchemaWatch {
    let store: Store
    let standing: ServerStanding
    let every: Duration

    /// Looks until cancelled.
    func run() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: every)
            await look()
        }
    }

    private func look() async {
        do {
            try await store.checkSchema()
            standing.outdated(nil)
        } catch SQLError.misconfigured(let reason) {
            if standing.outdated(reason) {
                Logger.current.error(
                    "This version cannot work with the database any more; it serves nothing",
                    metadata: ["reason": "\(reason)"])
            }
        } catch {
            // The heartbeat reports a database that cannot be reached.
            Logger.current.debug("The schema was not checked", metadata: ["error": "\(error)"])
        }
    }
}
