import Domain
import Logging
import Observability
import ServiceLifecycle
import Store

/// Keeps the figures of the whole installation, as this server sees it, for monitoring.
///
/// Every server tells the same of the cluster, so that monitoring loses nothing when one goes. Without its database a
/// server repeats what it knew: `asm_cluster_read_timestamp_seconds` says since when.
struct ClusterMetrics: Service {
    let store: Store
    let standing: ServerStanding
    let every: Duration
    private let registry: MetricRegistry

    init(store: Store, standing: ServerStanding, registry: MetricRegistry, every: Duration) {
        self.store = store
        self.standing = standing
        self.registry = registry
        self.every = every
    }

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await read()
                // Sleeping ends early only at shutdown, which the loop's condition sees.
                try? await Task.sleep(for: every)
            }
        }
    }

    func read() async {
        let isDegraded = if case .degraded = standing.condition { 1 } else { 0 }
        registry.gauge(.serverDegraded).set(isDegraded)
        do {
            let servers = try await store.servers()
            show(servers, try await store.clusterFigures())
        } catch is CancellationError {
        } catch {
            // The heartbeat says when the database is away.
            Logger.current.debug("Reading the cluster's figures failed", metadata: ["error": "\(error)"])
        }
    }

    private func show(_ servers: [ServerRecord], _ figures: ClusterFigures) {
        registry.gauge(.slotsHeld).set(Int(figures.slotsHeld))
        registry.gauge(.slotLimit).set(figures.slotLimit.map(Int.init) ?? Gauge.unlimited)
        registry.gauge(.outboxMails, [("state", "waiting")]).set(Int(figures.mailsWaiting))
        registry.gauge(.outboxMails, [("state", "dead")]).set(Int(figures.mailsDead))
        for kind in IncidentKind.allCases {
            registry.gauge(.openIncidents, [("kind", kind.rawValue)])
                .set(servers.count { $0.incidents.contains(kind) })
        }
        // One that has stopped in order is meant to be silent, and one that was removed is gone from here.
        registry.replaceGauges(
            .lastActiveAge,
            servers.filter { $0.stoppedAt == nil }.map { server in
                ([("server", server.address)], Int(max(0, server.inactiveMicroseconds) / 1_000_000))
            })
        registry.gauge(.clusterReadAt).set(Int(figures.readAt.microseconds / 1_000_000))
    }
}
