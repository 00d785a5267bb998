import ASMService
import AdminWeb
import ArgumentParser
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

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run everything in one process, on a database file of its own.",
        discussion: """
            The first start creates the database and says what to do next.
            Example: asm up --data /var/lib/asm --web-port 8080
            """)

    @Option(help: ArgumentHelp("The folder that holds the database. Default: asm-data.", valueName: "dir"))
    var data: String?

    @Option(help: "The port of the web site and of the client API. Default: 8080.")
    var webPort: String?

    @Option(
        help: ArgumentHelp(
            "The address to listen on. Default: 127.0.0.1, this machine only.", valueName: "host"))
    var webHost: String?

    @Option(help: "The port of the Admin Web, on the same address. Default: no Admin Web.")
    var adminPort: String?

    @Option(
        help: ArgumentHelp(
            "The proxies whose X-Forwarded-For and -Proto are believed, as IP addresses. Default: none.",
            valueName: "address,…"))
    var trustedProxies: String?

    @Flag(help: "Add a customer with a few users, and print their log-ins.")
    var demo = false

    @OptionGroup var security: WebSecurityOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings(
            security.settings.merging([
                "data": data, "web.port": webPort, "web.host": webHost, "admin.port": adminPort,
                "demo": demo ? "true" : nil, "trustedProxies": trustedProxies,
            ]) { $1 })
        let logger = try settings.logger("asm")
        let folder = settings.string("data") ?? "asm-data"
        let web = BindAddress(
            host: settings.string("web.host") ?? "127.0.0.1",
            port: try settings.port("web.port", default: 8_080))
        let security = try settings.webSecurity(at: web, logger)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = folder + "/asm.sqlite"
        let isFirstStart = !FileManager.default.fileExists(atPath: path)

        let database = try SQLiteDatabase(path: path, logger: logger)
        let store = Store(database: database)
        let metrics = MetricRegistry()
        var own = ASMServiceConfiguration(
            listen: BindAddress(host: "127.0.0.1", port: 0), name: "local", software: Software.name)
        own.times = try settings.clusterTimes()
        own.mail = try settings.mailConfiguration()
        let service = try await startASMService(own, store: store, metrics: metrics, logger: logger)
        let demoText =
            settings.string("demo") == "true" ? try await Demo(store: store, folder: folder).ensure() : nil
        var configuration = WebServiceConfiguration(
            address: web, servers: try ServerList("127.0.0.1:\(service.port)"))
        configuration.software = Software.name
        configuration.security = security
        configuration.trustedProxies = try settings.trustedProxies()
        let webService = WebService(
            configuration: configuration, group: MultiThreadedEventLoopGroup.singleton, metrics: metrics,
            logger: logger
        ) { port in
            let url =
                "\(security == nil ? "http" : "https")://\(web.host.contains(":") ? "[\(web.host)]" : web.host):\(port)"
            print("ASM \(Software.version) serves at \(url)")
            if let demoText {
                print(demoText)
                print("Open \(url) in a browser and log in; stop with Ctrl-C.")
            } else if isFirstStart {
                print(firstSteps(folder))
            }
            fflush(nil)
        }
        var services: [any Service] = [DatabaseService(database: database), service.service, webService]
        if settings.string("admin.port") != nil {
            let address = BindAddress(host: web.host, port: try settings.port("admin.port", default: 8_081))
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
            print("The Admin Web of ASM \(Software.version) is at \(scheme)://\(address.host):\(port)")
            fflush(nil)
        }
    }

    private func firstSteps(_ folder: String) -> String {
        """
        This is a new installation in '\(folder)'. Stop it (Ctrl-C), add a customer and users, and start it again:
          asm customer add 'Mercy Hospital' --database sqlite:\(folder)/asm.sqlite
          asm user add --customer 'Mercy Hospital' ann --database sqlite:\(folder)/asm.sqlite
        """
    }
}
