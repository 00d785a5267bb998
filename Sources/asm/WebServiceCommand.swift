import ArgumentParser
import Foundation
import NIOPosix
import Observability
import ServiceLink
import WebService

struct WebServiceCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "web-service", abstract: "Run an ASM Web Service: what apps and browsers talk to.",
        discussion: """
            It finds the ASM Services by its Server list and goes to another one when one is down.
            Example: asm web-service --server 10.0.0.11:7400,10.0.0.12:7400 --link-certificate web1.pem \
            --link-key web1.key --link-ca ca.pem --listen 0.0.0.0:443 --certificate site.pem --key site.key
            A list that exists already: asm web-service --web-config /etc/asm/web.config
            """)

    @Option(help: ArgumentHelp("Where clients connect.", valueName: "host:port"), transform: bindAddress)
    var listen = BindAddress(host: "127.0.0.1", port: 8_080)

    @Option(
        help: ArgumentHelp(
            "The load balancers whose X-Forwarded-For and -Proto are believed, as IP addresses. Default: none.",
            valueName: "address,…"), transform: { try TrustedProxies($0) })
    var trustedProxies: TrustedProxies?

    @OptionGroup var options: WebTierOptions

    func run() async throws {
        let settings = try options.read(at: listen, label: "asm.web-service")
        var configuration = WebServiceConfiguration(address: listen, servers: settings.servers)
        configuration.software = Software.name
        if let trustedProxies { configuration.trustedProxies = trustedProxies }
        configuration.security = settings.security
        configuration.linkSecurity = settings.linkSecurity
        let service = WebService(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            metrics: MetricRegistry(), logger: settings.logger
        ) { port in
            Terminal.announce("ASM Web Service \(Software.version) serves on \(listen.host):\(port).")
        }
        let ending = Ending(delay: options.draining.drainDelay) { service.leave() }
        try await runUntilSignal([service], ending: ending, logger: settings.logger)
    }
}
