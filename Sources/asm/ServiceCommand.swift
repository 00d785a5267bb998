import ASMService
import ArgumentParser
import Domain
import Foundation
import Health
import Logging
import NIOPosix
import Observability
import ServiceLifecycle
import ServiceLink
import Store
import TransportSecurity

struct ServiceCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Run an ASM Service: it accepts, stores and delivers messages.",
        discussion: """
            Run as many as you like on one PostgreSQL database; all of them are active.
            Example: asm service --database 'postgresql://asm@db1,db2/asm?sslmode=verify-full' \
            --listen 10.0.0.11:7400 --link-certificate asm1.pem --link-key asm1.key --link-ca ca.pem
            """)

    @Option(
        help: ArgumentHelp("Where Web Services reach this server.", valueName: "host:port"),
        transform: bindAddress)
    var listen = BindAddress(host: "127.0.0.1", port: 7_400)

    @Option(
        help: ArgumentHelp(
            "Where /healthz, /readyz and /metrics are answered over HTTP. Default: nowhere.",
            valueName: "host:port"), transform: bindAddress)
    var health: BindAddress?

    @Option(
        help: ArgumentHelp(
            "What this server is called and known by: where the web tier reaches it. Default: the address it listens on; when that is every address, this machine's name and the port.",
            valueName: "host:port"))
    var name: String?

    @Flag(help: "Push out a process that is running under this name, instead of refusing to start.")
    var takeOver = false

    @Option(
        help: ArgumentHelp("How often it looks whether the schema still suits it.", visibility: .hidden),
        transform: seconds(0.1...3_600))
    var schemaCheckSeconds = Duration.seconds(60)

    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var link: LinkSecurityOptions
    @OptionGroup var mail: MailOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard name.map({ (1...200).contains($0.utf8.count) && !$0.contains(where: \.isWhitespace) }) ?? true
        else { throw ValidationError("A server's name has 1 to 200 bytes and no blanks: --name HOST:PORT.") }
    }

    func run() async throws {
        let logger = common.logger("asm.service")
        let security = try link.files(for: .linkServer, at: [listen], logger)
        let mail = try mail.configuration()
        let database = try await database.open(logger)
        let metrics = MetricRegistry()
        let name = name ?? Self.name(for: listen)
        let ending = Ending()
        var configuration = ASMServiceConfiguration(listen: listen, name: name, software: Software.name)
        configuration.takesOver = takeOver
        configuration.times = cluster.times
        configuration.schemaCheckEvery = schemaCheckSeconds
        configuration.linkSecurity = security
        configuration.mail = mail
        configuration.whenDrainRequested = { ending.begin() }
        let service = try await startASMService(
            configuration, store: Store(database: database), metrics: metrics, logger: logger)
        var services: [any Service] = [DatabaseService(database: database)]
        if let health {
            services.append(
                healthServer(of: service.service, at: health, metrics: metrics, logger: logger))
        }
        try await runUntilSignal(services + [service.service], ending: ending, logger: logger) {
            Terminal.announce("ASM Service \(Software.version) serves on \(listen.host):\(service.port).")
        }
    }

    /// Servers of several machines that all listen on every address must not have one name.
    private static func name(for address: BindAddress) -> String? {
        guard ["0.0.0.0", "::"].contains(address.host), address.port != 0 else { return nil }
        var machine = [CChar](repeating: 0, count: 256)
        guard gethostname(&machine, machine.count - 1) == 0 else { return nil }
        return String(decoding: machine.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            + ":\(address.port)"
    }
}

/// Brings the schema up to date, registers the server and begins to listen.
func startASMService(
    _ configuration: ASMServiceConfiguration, store: Store, metrics: MetricRegistry, logger: Logger
) async throws -> (service: ASMService, port: Int) {
    try await store.migrate()
    let service = try ASMService(
        configuration: configuration, store: store, group: MultiThreadedEventLoopGroup.singleton,
        metrics: metrics, logger: logger)
    return (service, try await service.start())
}

/// Answers health checks for an ASM Service until this has stopped.
func healthServer(
    of service: ASMService, at address: BindAddress, metrics: MetricRegistry, logger: Logger
) -> HealthServer {
    HealthServer(
        host: address.host, port: address.port,
        checks: HealthChecks {
            let (state, reason) = service.state
            return state == "active" ? .ready : .notReady(state: state, reason: reason)
        } metrics: {
            metrics.render() + ProcessFigures.render()
        },
        group: MultiThreadedEventLoopGroup.singleton, logger: logger
    ) { port in
        Terminal.announce(
            "ASM Service \(Software.version) tells its health at http://\(address.host):\(port)/readyz")
    }
}
