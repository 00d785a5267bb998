package import Domain
package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle
package import ServiceLink
package import Store

/// How one ASM Service runs.
package struct ASMServiceConfiguration: Sendable {
    /// Where Web Services reach this server.
    package var listen: BindAddress
    /// Under which this server is registered; nil: the address it listens on. Another process that registers under
    /// the same name supersedes this one.
    package var name: String?
    package var limits = MessageLimits()
    package var sessions = SessionPolicy()
    package var software: String

    package init(listen: BindAddress, name: String? = nil, software: String) {
        self.listen = listen
        self.name = name
        self.software = software
    }
}

/// Accepts, stores and delivers messages: everything between the service link and the store.
package struct ASMService: Service {
    package let server: LinkServer
    let standing: ServerStanding
    private let configuration: ASMServiceConfiguration
    private let heartbeat: Heartbeat
    private let logs: CustomerLogs
    private let work: BackgroundWork

    /// - Throws: when the cryptographic library does not start.
    package init(
        configuration: ASMServiceConfiguration, store: Store, group: any EventLoopGroup,
        metrics: MetricRegistry, logger: Logger
    ) throws {
        standing = ServerStanding()
        work = BackgroundWork()
        let directory = SessionDirectory(store: store, policy: configuration.sessions)
        logs = CustomerLogs(
            store: store, standing: standing, work: work, metrics: LogMetrics(metrics), directory: directory)
        let router = RequestRouter(
            store: store, standing: standing, work: work, logs: logs, directory: directory,
            logIn: LogIn(store: store, hasher: try PasswordHasher(), policy: configuration.sessions),
            limits: configuration.limits, software: configuration.software)
        server = LinkServer(
            address: configuration.listen, name: "ASM Service", software: configuration.software,
            service: router,
            group: group, metrics: metrics, logger: logger)
        heartbeat = Heartbeat(store: store, standing: standing, version: configuration.software)
        self.configuration = configuration
    }

    /// Begins to listen and registers the server; until that is done, requests are refused.
    /// - Returns: the port in use.
    /// - Throws: when the database cannot be reached or the port is in use.
    @discardableResult
    package func start() async throws -> Int {
        let port = try await server.start()
        try await heartbeat.register(as: configuration.name ?? "\(configuration.listen.host):\(port)")
        return port
    }

    /// Serves until graceful shutdown: clients are told to move, what is in flight finishes, then everything stops.
    package func run() async throws {
        if server.boundPort == nil { try await start() }
        try await withThrowingTaskGroup { group in
            group.addTask { await work.run() }
            group.addTask { try await logs.run() }
            group.addTask { try await heartbeat.run() }
            try await server.run()
            work.finish()
            group.cancelAll()
            while (try? await group.next()) != nil {}
        }
    }
}
