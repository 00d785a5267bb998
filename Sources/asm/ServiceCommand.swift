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

struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Run an ASM Service: it accepts, stores and delivers messages.",
        discussion: """
            Run as many as you like on one PostgreSQL database; all of them are active.
            Example: asm service --database 'postgresql://asm@db1,db2/asm?sslmode=verify-full' \
            --listen 10.0.0.11:7400 --link-certificate asm1.pem --link-key asm1.key --link-ca ca.pem
            """)

    @Option(
        help: ArgumentHelp(
            "Where Web Services reach this server. Default: 127.0.0.1:7400.", valueName: "host:port"))
    var listen: String?

    @Option(
        help: ArgumentHelp(
            "Where /healthz, /readyz and /metrics are answered over HTTP. Default: nowhere.",
            valueName: "host:port"))
    var health: String?

    @Option(
        help: ArgumentHelp(
            "What this server is called and known by: where the web tier reaches it. Default: the address it listens on; when that is every address, this machine's name and the port.",
            valueName: "host:port"))
    var name: String?

    @Flag(help: "Push out a process that is running under this name, instead of refusing to start.")
    var takeOver = false

    @OptionGroup var link: LinkSecurityOptions
    @OptionGroup var mail: MailOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings(
            database.settings.merging(link.settings) { $1 }.merging(mail.values) { $1 }
                .merging(["listen": listen, "health": health, "name": name]) { $1 })
        let logger = try settings.logger("asm.service")
        let address = try settings.parsed("listen", settings.string("listen") ?? "127.0.0.1:7400") {
            try BindAddress($0)
        }
        let healthAddress = try settings.string("health").map { text in
            try settings.parsed("health", text) { try BindAddress($0) }
        }
        let security = try settings.linkSecurity(for: .linkServer, at: [address], logger)
        let database = try await settings.openDatabase(logger)
        let metrics = MetricRegistry()
        let name = settings.string("name") ?? Self.name(for: address)
        guard name.map({ (1...200).contains($0.utf8.count) && !$0.contains(where: \.isWhitespace) }) ?? true
        else { throw ValidationError("A server's name has 1 to 200 bytes and no blanks: --name HOST:PORT.") }
        let ending = Ending()
        var configuration = ASMServiceConfiguration(listen: address, name: name, software: Software.name)
        configuration.takesOver = takeOver
        configuration.times = try settings.clusterTimes()
        configuration.schemaCheckEvery = try settings.schemaCheck()
        configuration.linkSecurity = security
        configuration.mail = try settings.mailConfiguration()
        configuration.whenDrainRequested = { ending.begin() }
        let service = try await startASMService(
            configuration, store: Store(database: database), metrics: metrics, logger: logger)
        var services: [any Service] = [DatabaseService(database: database)]
        if let healthAddress {
            services.append(
                healthServer(of: service.service, at: healthAddress, metrics: metrics, logger: logger))
        }
        try await runUntilSignal(services + [service.service], ending: ending, logger: logger) {
            print("ASM Service \(Software.version) serves on \(address.host):\(service.port).")
            fflush(nil)
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

extension Settings {
    /// How often a server looks whether the schema still suits it: `schema.checkSeconds`, each minute by default.
    fileprivate func schemaCheck() throws -> Duration {
        guard let text = string("schema.checkSeconds") else { return .seconds(60) }
        guard let seconds = Double(text), (0.1...3_600).contains(seconds) else {
            throw ValidationError("schema.checkSeconds is '\(text)'; expected seconds from 0.1 to 3600.")
        }
        return .seconds(seconds)
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
        print("ASM Service \(Software.version) tells its health at http://\(address.host):\(port)/readyz")
        fflush(nil)
    }
}
