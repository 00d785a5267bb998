package import Domain
package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle
package import ServiceLink
package import Store
package import TransportSecurity

/// How one ASM Service runs.
package struct ASMServiceConfiguration: Sendable {
    /// Where Web Services reach this server.
    package var listen: BindAddress
    /// Under which this server is registered; nil: the address it listens on. Another process that registers under
    /// the same name supersedes this one.
    package var name: String?
    /// Whether to push out a process that is alive under this name, instead of refusing to start.
    package var takesOver = false
    package var times = ClusterTimes()
    package var limits = MessageLimits()
    package var sessions = SessionPolicy()
    package var mail = MailConfiguration()
    package var admission = AdmissionLimits()
    package var software: String
    /// Mutual TLS on the service link; nil for plain text.
    package var linkSecurity: SecurityFiles?
    /// How often this server looks whether the schema still suits it.
    package var schemaCheckEvery = Duration.seconds(60)
    /// Called when an administrator wants this server to end in order; may be called again.
    package var whenDrainRequested: @Sendable () -> Void = {}

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
    private let watch: ServerWatch
    private let clusterMetrics: ClusterMetrics
    private let schema: SchemaWatch
    private let checkIdentity: IdentityCheck
    private let logs: CustomerLogs
    private let work: BackgroundWork
    private let certificates: CertificateEvents
    private let mails: MailWorker
    private let housekeeping: EventHousekeeping

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
        certificates = CertificateEvents(store: store)
        let router = RequestRouter(
            store: store, standing: standing, work: work, logs: logs, directory: directory,
            logIn: LogIn(
                store: store, hasher: try PasswordHasher(), policy: configuration.sessions,
                turns: LogInTurns(configuration.admission)),
            limits: configuration.limits, certificates: certificates, software: configuration.software,
            times: configuration.times, admission: Admission(configuration.admission, work: work))
        server = LinkServer(
            address: configuration.listen, name: "ASM Service", software: configuration.software,
            service: router, security: configuration.linkSecurity,
            group: group, metrics: metrics, logger: logger)
        heartbeat = Heartbeat(
            store: store, standing: standing, version: configuration.software, times: configuration.times,
            metrics: metrics, whenDrainRequested: configuration.whenDrainRequested)
        schema = SchemaWatch(store: store, standing: standing, every: configuration.schemaCheckEvery)
        watch = ServerWatch(store: store, standing: standing, times: configuration.times)
        clusterMetrics = ClusterMetrics(
            store: store, standing: standing, registry: metrics, every: configuration.times.lookEvery)
        checkIdentity = IdentityCheck(store: store, times: configuration.times)
        mails = MailWorker(store: store, configuration: configuration.mail)
        housekeeping = EventHousekeeping(store: store)
        self.configuration = configuration
    }

    /// One word for its state, and why it is not `active`.
    package var state: (word: String, reason: String) {
        let condition = standing.condition
        return (condition.word, condition.sentence)
    }

    /// Begins to listen and registers the server; until that is done, requests are refused.
    /// - Returns: the port in use.
    /// - Throws: when the database cannot be reached, the port is in use, or another process runs as this server.
    @discardableResult
    package func start() async throws -> Int {
        let port = try await server.start()
        let name = configuration.name ?? "\(configuration.listen.host):\(port)"
        if !configuration.takesOver { try await checkIdentity(name) }
        try await heartbeat.register(as: name)
        return port
    }

    /// Serves until graceful shutdown: clients are told to move, what is in flight finishes, then everything stops.
    package func run() async throws {
        if server.boundPort == nil { try await start() }
        try await withThrowingTaskGroup { group in
            // It beats until all others have ended: a server that takes its time to end is not unreachable.
            group.addTask { try await heartbeat.run() }
            try await serve()
            group.cancelAll()
        }
        // One that is cancelled ends as a crash would.
        if !Task.isCancelled { await heartbeat.stop() }
    }

    private func serve() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await work.run() }
            group.addTask { try await logs.run() }
            group.addTask { try await watch.run() }
            group.addTask { await clusterMetrics.run() }
            if let security = configuration.linkSecurity {
                let expiry = certificates.watch(security, of: "ASM Service \(configuration.listen)")
                group.addTask { try await security.run() }
                group.addTask { try await expiry.run() }
            }
            group.addTask { try await schema.run() }
            group.addTask { await mails.run() }
            group.addTask { await housekeeping.run() }
            try await withGracefulShutdownHandler {
                try await server.run()
            } onGracefulShutdown: {
                standing.draining()
            }
            work.finish()
            group.cancelAll()
        }
    }
}
