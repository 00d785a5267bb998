import ASMService
import ArgumentParser
import Foundation
import Logging
import NIOPosix
import Observability
import ServiceLifecycle
import ServiceLink
import Store
import UnixSignals

struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Run an ASM Service: it accepts, stores and delivers messages.",
        discussion: """
            Run as many as you like on one PostgreSQL database; all of them are active.
            Example: asm service --database postgresql://asm@db1,db2/asm --listen 10.0.0.11:7400
            """)

    @Option(
        help: ArgumentHelp(
            "Where Web Services reach this server. Default: 127.0.0.1:7400.", valueName: "host:port"))
    var listen: String?

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings(["database": database.database, "listen": listen])
        let logger = try settings.logger("asm.service")
        let address = try settings.parsed("listen", settings.string("listen") ?? "127.0.0.1:7400") {
            try BindAddress($0)
        }
        let database = try await settings.openDatabase(logger)
        let service = try await startASMService(
            at: address, store: Store(database: database), metrics: MetricRegistry(), logger: logger)
        print("ASM Service \(Software.version) serves on \(address.host):\(service.port).")
        fflush(nil)
        try await runUntilSignal([DatabaseService(database: database), service.service], logger: logger)
    }
}

/// Brings the schema up to date, registers the server and begins to listen.
func startASMService(
    at address: BindAddress, name: String? = nil, store: Store, metrics: MetricRegistry, logger: Logger
) async throws -> (service: ASMService, port: Int) {
    try await store.migrate()
    let service = try ASMService(
        configuration: ASMServiceConfiguration(
            listen: address, name: name, software: Software.name),
        store: store, group: MultiThreadedEventLoopGroup.singleton, metrics: metrics, logger: logger)
    return (service, try await service.start())
}

/// Runs services in this order until SIGTERM or SIGINT, then stops them in reverse order.
func runUntilSignal(_ services: [any Service], logger: Logger) async throws {
    let group = ServiceGroup(
        configuration: .init(
            services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger))
    try await withLogger(logger) { _ in try await group.run() }
}
