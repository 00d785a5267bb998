import Logging
import ServiceLifecycle
import Store

/// Looks at the database's size and the licence, and removes old events, now and then, on whichever server comes first.
struct EventHousekeeping: Service {
    /// How often this server looks whether something is due.
    static let pace = Duration.seconds(30)
    static let sizeEveryMicroseconds: Int64 = 5 * 60 * 1_000_000
    static let licenceEveryMicroseconds: Int64 = 5 * 60 * 1_000_000
    static let purgeEveryMicroseconds: Int64 = 3_600 * 1_000_000
    /// Batches of one purge; what is left then goes with the next.
    static let purgeBatches = 1_000

    let store: Store

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await store.checkDatabaseSize(every: Self.sizeEveryMicroseconds)
                    try await store.checkLicence(every: Self.licenceEveryMicroseconds)
                    try await purge()
                } catch {
                    Logger.current.warning("Looking after events failed", metadata: ["error": "\(error)"])
                }
                // Sleeping ends early only at shutdown, which the loop's condition sees.
                try? await Task.sleep(for: Self.pace)
            }
        }
    }

    private func purge() async throws {
        guard try await store.take(.eventRetention, every: Self.purgeEveryMicroseconds) else { return }
        for _ in 0..<Self.purgeBatches where !Task.isCancelled {
            guard try await store.purgeEvents() >= Store.purgeBatch else { return }
        }
    }
}
