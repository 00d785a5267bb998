import ArgumentParser
import Foundation
import Logging
import NIOPosix
import Observability
import ServiceLink
import WebService

struct WebServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "web-service", abstract: "Run an ASM Web Service: what apps and browsers talk to.",
        discussion: """
            It finds the ASM Services by its Server list and goes to another one when one is down.
            Example: asm web-service --server 10.0.0.11:7400,10.0.0.12:7400 --listen 0.0.0.0:8080
            """)

    @Option(help: ArgumentHelp("The ASM Services: ServerA:PortA,ServerB:PortB.", valueName: "host:port,…"))
    var server: String?

    @Option(help: ArgumentHelp("Where clients connect. Default: 127.0.0.1:8080.", valueName: "host:port"))
    var listen: String?

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings(["server": server, "listen": listen])
        let logger = try settings.logger("asm.web-service")
        let servers = try settings.parsed(
            "server", try settings.required("server", example: "10.0.0.11:7400,10.0.0.12:7400")
        ) {
            try ServerList($0)
        }
        let address = try settings.parsed("listen", settings.string("listen") ?? "127.0.0.1:8080") {
            try BindAddress($0)
        }
        var configuration = WebServiceConfiguration(address: address, servers: servers)
        configuration.software = Software.name
        let service = WebService(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            metrics: MetricRegistry(), logger: logger
        ) { port in
            print("ASM Web Service \(Software.version) serves on \(address.host):\(port).")
            fflush(nil)
        }
        try await runUntilSignal([service], logger: logger)
    }
}
