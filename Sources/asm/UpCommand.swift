import ASMService
import AdminWeb
import ArgumentParser
import Domain
import Foundation
import Logging
import NIOPosix
import Observability
import SQLiteDatabase
import ServiceLifecycle
import ServiceLink
import Store
import TransportSecurity
import WebService

struct UpCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run everything in one process, on a database file of its own.",
        discussion: """
            The first start creates the database and says what to do next.
            Example: asm up --data /var/lib/asm --web-port 8080
            """)

    @Option(help: ArgumentHelp("The folder that holds the database.", valueName: "dir"))
    var data = "asm-data"

    @Option(
        help: ArgumentHelp("The port of the web site and of the client API.", valueName: "port"),
        transform: port)
    var webPort = 8_080

    @Option(
        help: ArgumentHelp("The address to listen on; beyond 127.0.0.1 others reach it.", valueName: "host"))
    var webHost = "127.0.0.1"

    @Option(
        help: ArgumentHelp(
            "The port of the Admin Web, on the same address. Default: no Admin Web.", valueName: "port"),
        transform: port)
    var adminPort: Int?

    @Option(
        help: ArgumentHelp(
            "The proxies whose X-Forwarded-For and -Proto are believed, as IP addresses. Default: none.",
            valueName: "address,…"), transform: { try TrustedProxies($0) })
    var trustedProxies: TrustedProxies?

    @Flag(help: "Add a customer with a few users, and print their log-ins.")
    var demo = false

    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var mail: MailOptions
    @OptionGroup var security: WebSecurityOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let logger = common.logger("asm")
        let folder = data
        let web = BindAddress(host: webHost, port: webPort)
        let security = try security.files(at: web, logger)
        let mail = try mail.configuration()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = folder + "/asm.sqlite"
        let isFirstStart = !FileManager.default.fileExists(atPath: path)

        let database = try SQLiteDatabase(path: path, logger: logger)
        let store = Store(database: database)
        let metrics = MetricRegistry()
        var own = ASMServiceConfiguration(
            listen: BindAddress(host: "127.0.0.1", port: 0), name: "local", software: Software.name)
        own.times = cluster.times
        own.mail = mail
        let service = try await startASMService(own, store: store, metrics: metrics, logger: logger)
        let demoText = demo ? try await Demo(store: store, folder: folder).ensure() : nil
        var configuration = WebServiceConfiguration(
            address: web, servers: try ServerList("127.0.0.1:\(service.port)"))
        configuration.software = Software.name
        configuration.security = security
        if let trustedProxies { configuration.trustedProxies = trustedProxies }
        let webService = WebService(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton, metrics: metrics,
            logger: logger
        ) { port in
            let url =
                "\(security == nil ? "http" : "https")://\(web.host.contains(":") ? "[\(web.host)]" : web.host):\(port)"
            Terminal.announce("ASM \(Software.version) serves at \(url)")
            if let demoText {
                Terminal.announce(demoText)
                Terminal.announce("Open \(url) in a browser and log in; stop with Ctrl-C.")
            } else if isFirstStart {
                Terminal.announce(firstSteps(folder))
            }
        }
        var services: [any Service] = [DatabaseService(database: database), service.service, webService]
        if let adminPort {
            let address = BindAddress(host: web.host, port: adminPort)
            services.append(adminWeb(at: address, servers: configuration.servers, security, logger))
        }
        try await runUntilSignal(services, logger: logger)
    }

    private func adminWeb(
        at address: BindAddress, servers: ServerList, _ security: SecurityFiles?, _ logger: Logger
    ) -> AdminWeb {
        var configuration = AdminWebConfiguration(address: address, servers: servers)
        configuration.software = Software.name
        configuration.security = security
        return AdminWeb(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton, logger: logger
        ) { port in
            let scheme = security == nil ? "http" : "https"
            Terminal.announce(
                "The Admin Web of ASM \(Software.version) is at \(scheme)://\(address.host):\(port)")
        }
    }

    private func firstSteps(_ folder: String) -> String {
        let database = ShellText("sqlite:\(folder)/asm.sqlite")
        return """
            This is a new installation in '\(folder)'. Stop it (Ctrl-C), add a customer and users, and start it again:
              asm customer add 'Mercy Hospital' --database \(database)
              asm user add --customer 'Mercy Hospital' ann --database \(database)
            """
    }
}
