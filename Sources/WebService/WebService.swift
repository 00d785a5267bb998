import Domain
import Foundation
import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import NIOPosix
package import Observability
import ServiceLifecycle
package import ServiceLink
import Synchronization
import TransportSecurity

/// The ASM Web Service: REST and live connections for clients, over the service link to the ASM Services.
///
/// It holds no truth and no credentials of the database: any client may use any Web Service for any request.
package final class WebService: Service {
    package let configuration: WebServiceConfiguration
    /// The connections to the ASM Services; run by this service.
    package let pool: LinkPool

    let hub: LiveHub
    let operations: Set<ServiceAPI.Operation>
    private let responder: RouterResponder<WebContext>
    private let gate: LiveGate
    private let group: any EventLoopGroup
    private let logger: Logger
    private let port = Mutex<Int?>(nil)
    private let whenListening: @Sendable (Int) -> Void

    /// - Parameter whenListening: called once with the port, as soon as clients can connect.
    package init(
        configuration: WebServiceConfiguration, group: any EventLoopGroup,
        metrics: MetricRegistry = MetricRegistry(),
        logger: Logger, whenListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
        self.whenListening = whenListening
        let webMetrics = WebMetrics(registry: metrics)
        hub = LiveHub(group: group, limits: configuration.limits, metrics: webMetrics)
        pool = LinkPool(
            servers: configuration.servers, name: configuration.name, software: configuration.software,
            limits: configuration.linkLimits, security: configuration.linkSecurity, events: hub, group: group,
            metrics: metrics, logger: logger)
        gate = LiveGate(
            hub: hub, pool: pool, security: configuration.security,
            allowedOrigins: Set(configuration.allowedOrigins.map { $0.lowercased() }))
        let routes = Self.routes(configuration, gate: gate)
        responder = routes.router.buildResponder()
        operations = routes.operations
    }

    /// The port in use; nil before it listens.
    package var boundPort: Int? { port.withLock { $0 } }

    /// Says at `/readyz` that it is going, while it still serves everybody who comes.
    package func leave() { hub.leave() }

    /// Serves until graceful shutdown: then asks live clients to go elsewhere, finishes what is in flight, and closes.
    ///
    /// - Throws: `WebServiceError` when the address is in use or cannot be bound.
    package func run() async throws {
        let application = Application(
            responder: responder,
            server: HTTPServerBuilder { [gate] in WebChannel(responder: $0, gate: gate) },
            configuration: .init(
                address: .hostname(configuration.address.host, port: configuration.address.port),
                backlog: Self.backlog,
                availableConnectionsDelegate: .maximum(configuration.limits.connections, logger: logger)),
            onServerRunning: { [self] channel in listens(on: channel) },
            eventLoopGroupProvider: .shared(group),
            logger: logger)
        pool.start()
        do {
            try await withGracefulShutdownHandler {
                try await withThrowingTaskGroup { group in
                    for files in [configuration.security, configuration.linkSecurity].compactMap(\.self) {
                        let expiry = CertificateReports(
                            pool: pool, component: "Web Service \(configuration.address)"
                        ).watch(files)
                        group.addTask { try await files.run() }
                        group.addTask { try await expiry.run() }
                    }
                    try await application.run()
                    group.cancelAll()
                }
            } onGracefulShutdown: { [hub] in
                hub.beginDraining()
            }
            try await hub.waitUntilEmpty()
        } catch {
            await pool.stop()
            throw (error as? IOError).map { WebServiceError($0, configuration.address) } ?? error
        }
        await pool.stop()
    }

    /// Connections that the system keeps waiting while this process is busy.
    private static let backlog = 1_024

    private func listens(on channel: any Channel) {
        let bound = channel.localAddress?.port ?? configuration.address.port
        port.withLock { $0 = bound }
        hub.call("\(ProcessInfo.processInfo.hostName):\(bound)")
        logger.notice(
            "The web service listens", metadata: ["address": "\(configuration.address.host):\(bound)"])
        whenListening(bound)
    }

    private static func routes(_ configuration: WebServiceConfiguration, gate: LiveGate) -> Routes {
        let limits = configuration.limits
        let calls = ServiceCalls(pool: gate.pool)
        let messageLimits = gate.hub.messageLimits
        let logIns = Turnstile(
            limit: limits.logIns, message: "Too many people are logging in; try again soon.",
            retryAfterMilliseconds: 1_000...3_000)
        var routes = Routes(metrics: gate.hub.metrics, refusalHold: limits.refusalHold)
        SessionRoutes(
            calls: calls, limits: limits, trustedProxies: configuration.trustedProxies, logIns: logIns
        ).register(on: &routes)
        UserRoutes(calls: calls).register(on: &routes)
        ThreadRoutes(calls: calls, limits: limits, messageLimits: messageLimits).register(on: &routes)
        MessageRoutes(calls: calls, limits: limits, messageLimits: messageLimits).register(on: &routes)
        EntryRoutes(calls: calls, limits: limits, polls: gate.hub.polls).register(on: &routes)
        SystemRoutes(pool: gate.pool, gate: gate, metrics: gate.hub.metrics).register(on: &routes)
        StatusRoute(calls: calls, hub: gate.hub, software: configuration.software).register(on: &routes)
        StaticFiles.register(on: routes.router)
        return routes
    }
}

/// Why a Web Service cannot listen.
package enum WebServiceError: Error, CustomStringConvertible {
    case addressInUse(ServiceLink.BindAddress)
    case cannotBind(ServiceLink.BindAddress, reason: String)

    init(_ error: IOError, _ address: ServiceLink.BindAddress) {
        self =
            error.errnoCode == EADDRINUSE
            ? .addressInUse(address) : .cannotBind(address, reason: "\(error)")
    }

    package var description: String {
        switch self {
        case .addressInUse(let address):
            "cannot listen on \(address): another process uses this port; stop it or choose another port"
        case .cannotBind(let address, let reason): "cannot listen on \(address): \(reason)"
        }
    }
}
