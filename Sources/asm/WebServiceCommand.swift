import ArgumentParser
import Foundation
import NIOPosix
import Observability
import ServiceLink
import WebService

struct WebServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "web-service", abstract: "Run an ASM Web Service: what apps and browsers talk to.",
        discussion: """
            It finds the ASM Services by its Server list and goes to another one when one is down.
            Example: asm web-service --server 10.0.0.11:7400,10.0.0.12:7400 --link-certificate web1.pem \
            --link-key web1.key --link-ca ca.pem --listen 0.0.0.0:443 --certificate site.pem --key site.key
            A list that exists already: asm web-service --web-config /etc/asm/web.config
            """)

    @Option(help: ArgumentHelp("Where clients connect. Default: 127.0.0.1:8080.", valueName: "host:port"))
    var listen: String?

    @Option(
        help: ArgumentHelp(
            "The load balancers whose X-Forwarded-For and -Proto are believed, as IP addresses. Default: none.",
            valueName: "address,…"))
    var trustedProxies: String?

    @OptionGroup var options: WebTierOptions

    func run() async throws {
        let settings = try await options.read(
            listen: listen, usual: "127.0.0.1:8080", label: "asm.web-service",
            more: ["trustedProxies": trustedProxies])
        let address = settings.address
        var configuration = WebServiceConfiguration(address: address, servers: settings.servers)
        configuration.software = Software.name
        configuration.trustedProxies = try settings.all.trustedProxies()
        configuration.security = settings.security
        configuration.linkSecurity = settings.linkSecurity
        let service = WebService(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            metrics: MetricRegistry(), logger: settings.logger
        ) { port in
            print("ASM Web Service \(Software.version) serves on \(address.host):\(port).")
            fflush(nil)
        }
        let ending = Ending(delay: settings.drainDelay) { service.leave() }
        try await runUntilSignal([service], ending: ending, logger: settings.logger)
    }
}

extension Settings {
    /// The proxies that may say who asks, and whether by HTTPS.
    func trustedProxies() throws -> TrustedProxies {
        guard let text = list("trustedProxies") else { return TrustedProxies() }
        return try parsed("trustedProxies", text) { try TrustedProxies($0) }
    }
}
