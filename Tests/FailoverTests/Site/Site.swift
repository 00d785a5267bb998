import Foundation
import Glibc
import NIOCore
import Synchronization
import Testing

@testable import SystemSupport

/// The whole deployment: every host with what runs there.
///
/// Made once and mended after every row, because a database cluster takes its time; a row that leaves it beyond
/// repair, or with another history, has it made anew.
final class Site: Sendable {
    static let password = "correct horse battery"
    static let customer = "Mercy"
    static let users = 80
    private static let servicePort = 7_400
    private static let webPort = 8_080

    let folder: String
    let database: DatabaseCluster
    let services: [SiteServer]
    let webServers: [SiteServer]
    let balancer: SiteServer
    let passwordFile: String
    private let logins = Mutex<[Int: Web.Login]>([:])

    /// The hosts of a test have no certificates; what is encrypted is tested by SystemTests.
    static let plainText = [
        "ASM_ALLOW_PLAIN_LINK": "true", "ASM_ALLOW_PLAIN_HTTP": "true", "ASM_ALLOW_PLAIN_DATABASE": "true",
    ]

    private init(folder: String) throws {
        self.folder = folder
        database = DatabaseCluster(folder: folder + "/databases")
        passwordFile = folder + "/password"
        let asm = try Build.asm.path()
        let environment = Self.plainText
        services = [Host.asmA, .asmB].map { host in
            SiteServer(
                host, port: Self.servicePort, path: asm,
                [
                    "service", "--database", DatabaseCluster.url, "--listen",
                    "\(host.address):\(Self.servicePort)",
                ],
                environment: environment)
        }
        let list = services.map(\.address).joined(separator: ",")
        webServers = [Host.web1, .web2].map { host in
            SiteServer(
                host, port: Self.webPort, path: asm,
                ["web-service", "--server", list, "--listen", "\(host.address):\(Self.webPort)"],
                environment: environment)
        }
        balancer = SiteServer(
            .balancer, port: 80, path: "/usr/sbin/haproxy", ["-db", "-f", folder + "/haproxy.cfg"])
    }

    /// The entrance for clients.
    var entrance: Web { balancer.web }
    var webs: [Web] { webServers.map(\.web) }
    private var servers: [SiteServer] { services + webServers + [balancer] }

    // MARK: Making

    private static let shared = Keeper()

    /// The site, whole: made, or mended after what was done to it.
    static func whole() async throws -> Site { try await shared.whole() }

    /// Has the next row begin with a new one.
    static func spoil() async { await shared.spoil() }

    private actor Keeper {
        private var site: Site?
        private var hasNetwork = false
        private var count = 0

        func whole() async throws -> Site {
            if let site {
                // What cannot be mended is made anew.
                do {
                    try await site.mend()
                    return site
                } catch { try await discard() }
            }
            if !hasNetwork { try await Network.make() }
            hasNetwork = true
            count += 1
            let base = ProcessInfo.processInfo.environment["ASM_FAILOVER_FOLDER"] ?? NSTemporaryDirectory()
            let new = try Site(folder: "\(base)/site\(count)")
            try await new.make()
            site = new
            return new
        }

        func spoil() async {
            // A host whose processes cannot be listed has none.
            try? await discard()
        }

        private func discard() async throws {
            site = nil
            for host in Host.allCases {
                try await Network.heal(host)
                try await Network.plug(host, in: true)
                for process in try await Network.processes(of: host) { _ = Glibc.kill(process, SIGKILL) }
            }
        }
    }

    private func make() async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
        try Balancer.configuration(webs: webServers.map(\.address))
            .write(toFile: folder + "/haproxy.cfg", atomically: true, encoding: .utf8)
        try database.prepare()
        try await database.start()
        let primary = try await database.primary()
        try await database.sql("CREATE DATABASE asm OWNER asm", "GRANT pg_monitor TO asm", on: primary)
        for arguments in [
            ["customer", "add", Self.customer],
            [
                "user", "add", "--customer", Self.customer, "--count", "\(Self.users)", "user%d",
                "--password-file", passwordFile,
            ],
        ] {
            let ended = try await Program.run(
                arguments + ["--database", DatabaseCluster.url, "--allow-plain-database"])
            guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
        }
        try await mend()
        _ = try await bystander()
    }

    /// Undoes whatever was done to hosts and processes, and waits until everything serves.
    func mend() async throws {
        for host in Host.allCases {
            try await Network.heal(host)
            try await Network.plug(host, in: true)
            try await database.signal(SIGCONT, host)
        }
        for server in services where !server.isUsual {
            try await server.kill()
            server.live()
        }
        try await database.start()
        try await database.untilReplicating()
        for server in servers { try await server.start() }
        try await untilServing()
    }

    /// Waits until every Web Service has both ASM Services, and the balancer every Web Service.
    func untilServing() async throws {
        for web in webs { try await Deployment.untilReady(web, servers: services.count) }
        try await untilReady(within: .seconds(30))
    }

    /// Waits until a client would be served.
    func untilReady(within limit: Duration) async throws {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            // Not being answered is what is waited to be over.
            if let answer = try? await entrance.call("GET", "/readyz", within: .seconds(2)),
                answer.status == 200
            {
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NotInTime(what: "the entrance should serve\n\(report)", limit: limit)
    }

    /// How many servers have been reported as inactive so far.
    func inactiveIncidents() async throws -> Int {
        let text = try await database.sql(
            "SELECT count(*) FROM incident WHERE kind = 'inactive'", on: database.primary(),
            database: DatabaseCluster.name)
        return Int(text.split(separator: "\n").first ?? "") ?? -1
    }

    // MARK: People

    /// Somebody who is logged in and not connected.
    func person(_ number: Int) async throws -> Person {
        if let login = logins.withLock({ $0[number] }) { return Person(login) }
        let login = try await entrance.logIn("user\(number)", password: Self.password)
        logins.withLock { $0[number] = login }
        return Person(login)
    }

    /// Somebody who takes part in no row, for what a row does itself; logged in since the beginning.
    func bystander() async throws -> Person { try await person(Self.users) }

    func people(_ count: Int) async throws -> [Person] {
        var people: [Person] = []
        for number in 1...count { people.append(try await person(number)) }
        return people
    }

    /// What the servers said last.
    var report: String { servers.compactMap { $0.current?.tail }.joined(separator: "\n") }
}
