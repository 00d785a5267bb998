import Domain
import Logging
import SQLDatabase
import ServiceLifecycle
import Store

/// Looks after the other servers: each server watches all, and the database lets one of them tell.
struct ServerWatch: Service {
    let store: Store
    let standing: ServerStanding
    let times: ClusterTimes

    init(store: Store, standing: ServerStanding, times: ClusterTimes) {
        self.store = store
        self.standing = standing
        self.times = times
    }

    func run() async throws {
        // SQLite has one process: there is no other server to watch, or to be watched by.
        guard store.database.engine == .postgres else { return }
        try await cancelWhenGracefulShutdown { [self] in
            var watch = BeatWatch(times: times)
            while !Task.isCancelled {
                try await Task.sleep(for: times.lookEvery)
                await look(&watch)
            }
        }
    }

    private func look(_ watch: inout BeatWatch) async {
        guard let identity = standing.identity, standing.saying != .degraded(.superseded) else { return }
        do {
            let servers = try await store.servers()
            for (kind, server) in watch.look(at: servers, own: identity.server, now: .now) {
                let opened = try await store.openIncident(kind, against: server, by: identity, times: times)
                guard opened else { continue }
                Logger.current.warning(
                    kind == .inactive ? "A server is inactive" : "A server cannot be reached",
                    metadata: ["server.address": "\(server.address)", "server.id": "\(server.id)"])
            }
        } catch is CancellationError {
        } catch {
            // The heartbeat says when the database is away; what was missed is looked at next time.
            Logger.current.debug("Looking after other servers failed", metadata: ["error": "\(error)"])
        }
    }
}
