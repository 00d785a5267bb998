import AdminWeb
import ArgumentParser
import Foundation
import NIOPosix
import Observability
import ServiceLink

struct AdminWebCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin-web", abstract: "Run an ASM Admin Web: what administrators talk to.",
        discussion: """
            It finds the ASM Services by its own Server list, as the Web Service does. Its pages come with a later \
            version; so far it connects and says how it is at /healthz, /readyz and /metrics.
            Example: asm admin-web --server 10.0.0.11:7400,10.0.0.12:7400 --listen 127.0.0.1:8081
            A list that exists already: asm admin-web --web-config /etc/asm/admin/web.config
            """)

    @Option(
        help: ArgumentHelp("Where administrators connect.", valueName: "host:port"), transform: bindAddress)
    var listen = BindAddress(host: "127.0.0.1", port: 8_081)

    @OptionGroup var options: WebTierOptions

    func run() async throws {
        let settings = try options.read(at: listen, label: "asm.admin-web")
        var configuration = AdminWebConfiguration(address: listen, servers: settings.servers)
        configuration.software = Software.name
        configuration.security = settings.security
        configuration.linkSecurity = settings.linkSecurity
        let adminWeb = AdminWeb(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            logger: settings.logger
        ) { port in
            Terminal.announce("ASM Admin Web \(Software.version) serves on \(listen.host):\(port).")
        }
        let ending = Ending(delay: options.draining.drainDelay) { adminWeb.leave() }
        try await runUntilSignal([adminWeb], ending: ending, logger: settings.logger)
    }
}
