import Domain
import Logging
import ServiceLifecycle
import Store

/// Registers this server, then says each second that it is alive and learns whether it has been superseded.
struct Heartbeat: Service {
    /// How often the server proves that it is current.
    static let every = Duration.seconds(1)

    let store: Store
    let standing: ServerStanding
    let version: String

    init(store: Store, standing: ServerStanding, version: String) {
        self.store = store
        self.standing = standing
        self.version = version
    }

    /// Registers this process under a name; an older process of that name serves nothing from here on.
    func register(as name: String) async throws {
        standing.registered(as: try await store.registerServer(address: name, version: version))
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try await Task.sleep(for: Self.every)
                await beat()
            }
        }
    }

    private func beat() async {
        guard let fence = standing.fence else { return }
        do {
            if try await store.beat(fence) {
                standing.inTouch()
            } else {
                standing.superseded()
                Logger.current.error(
                    "Another process registered at this server's address; this one serves nothing")
            }
        } catch is CancellationError {
        } catch {
            Logger.current.warning("Heartbeat failed", metadata: ["error": "\(error)"])
        }
    }
}
