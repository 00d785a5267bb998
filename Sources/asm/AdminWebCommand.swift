import AdminWeb
import ArgumentParser
import Foundation
import NIOPosix
import Observability
import ServiceLink

struct AdminWebCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin-web", abstract: "Run an ASM Admin Web: what administrators talk to.",
        discussion: """
            It finds the ASM Services by its own Server list, as the Web Service does. Its pages come with a later \
            version; so far it connects and says how it is at /healthz, /readyz and /metrics.
            Example: asm admin-web --server 10.0.0.11:7400,10.0.0.12:7400 --listen 127.0.0.1:8081
            A list that exists already: asm admin-web --web-config /etc/asm/admin/web.config
            """)

    @Option(
        help: ArgumentHelp("Where administrators connect. Default: 127.0.0.1:8081.", valueName: "host:port"))
    var listen: String?

    @OptionGroup var options: WebTierOptions

    func run() async throws {
        let settings = try await options.read(listen: listen, usual: "127.0.0.1:8081", label: "asm.admin-web")
        let address = settings.address
        var configuration = AdminWebConfiguration(address: address, servers: settings.servers)
        configuration.software = Software.name
        configuration.security = settings.security
        configuration.linkSecurity = settings.linkSecurity
        let adminWeb = AdminWeb(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            logger: settings.logger
        ) { port in
            print("ASM Admin Web \(Software.version) serves on \(address.host):\(port).")
            fflush(nil)
        }
        let ending = Ending(delay: settings.drainDelay) { adminWeb.leave() }
        try await runUntilSignal([adminWeb], ending: ending, logger: settings.logger)
    }
}
