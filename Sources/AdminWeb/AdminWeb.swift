import Domain
import Health
package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle
package import ServiceLink
import Synchronization
package import TransportSecurity

/// What an Admin Web must be told.
package struct AdminWebConfiguration: Sendable {
    /// Where administrators connect; port 0 asks the system for a free one.
    package var address: BindAddress
    /// The ASM Services that do the work.
    package var servers: ServerList
    package var software = "asm"
    package var linkLimits = LinkLimits()
    /// HTTPS; nil for plain HTTP.
    package var security: SecurityFiles?
    /// Mutual TLS on the service link; nil for plain text.
    package var linkSecurity: SecurityFiles?

    package init(address: BindAddress, servers: ServerList) {
        self.address = address
        self.servers = servers
    }
}

/// The ASM Admin Web: the pages on which administrators manage customers, users, groups and servers.
///
/// It holds no database credentials: like the Web Service it asks an ASM Service over the service link, with its own
/// `Server` list. This version serves no pages: it connects, and says how it is. What it says needs no log-in, so it
/// names no server and nothing of the cluster.
package final class AdminWeb: Service {
    /// The connections to the ASM Services; run by this service.
    package let pool: LinkPool
    private let health: HealthServer
    private let leaving: Leaving
    private let files: [SecurityFiles]
    private let reports: CertificateReports

    private static let page = """
        ASM Admin Web
        The pages for administrators come with a later version.
        Health: /healthz, /readyz, /metrics

        """

    /// - Parameter whenListening: called once with the port.
    package init(
        configuration: AdminWebConfiguration, group: any EventLoopGroup,
        metrics: MetricRegistry = MetricRegistry(), logger: Logger,
        whenListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        let pool = LinkPool(
            servers: configuration.servers, name: "admin-web", software: configuration.software,
            limits: configuration.linkLimits, security: configuration.linkSecurity, events: NoLiveSessions(),
            group: group, metrics: metrics, logger: logger)
        self.pool = pool
        files = [configuration.security, configuration.linkSecurity].compactMap(\.self)
        reports = CertificateReports(pool: pool, component: "Admin Web \(configuration.address)")
        let leaving = Leaving()
        self.leaving = leaving
        health = HealthServer(
            host: configuration.address.host, port: configuration.address.port,
            checks: HealthChecks {
                if leaving.isSaid { return .notReady(state: "draining", reason: "This Admin Web is going.") }
                return pool.isServing
                    ? .ready
                    : .notReady(state: "unavailable", reason: "No ASM Service can be reached.")
            } metrics: {
                metrics.render() + ProcessFigures.render()
            },
            pages: ["/": Self.page],
            secure: { [security = configuration.security] in try security?.secureServer($0) },
            group: group, logger: logger, whenListening: whenListening)
    }

    /// Says at `/readyz` that it is going, while it still answers.
    package func leave() { leaving.say() }

    /// Serves until graceful shutdown.
    ///
    /// - Throws: `HealthServerError` when the address is in use or cannot be bound.
    package func run() async throws {
        pool.start()
        do {
            try await withThrowingTaskGroup { [files, reports, health] group in
                for files in files {
                    let expiry = reports.watch(files)
                    group.addTask { try await files.run() }
                    group.addTask { try await expiry.run() }
                }
                try await health.run()
                group.cancelAll()
            }
        } catch {
            await pool.stop()
            throw error
        }
        await pool.stop()
    }
}

/// Whether the process has said that it is going.
private final class Leaving: Sendable {
    private let flag = Atomic(false)
    var isSaid: Bool { flag.load(ordering: .relaxed) }
    func say() { flag.store(true, ordering: .relaxed) }
}

/// Administrators have no live sessions.
private final class NoLiveSessions: LinkPoolEvents {
    func deliver(_ items: [LinkDelivery.Item], epoch: LogEpoch) {}
}
