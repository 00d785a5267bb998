import Domain
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A server of a deployment that can be killed and started again at the same place.
final class Server: Sendable {
    let port: Int
    private let arguments: [String]
    private let listen: @Sendable (_ port: Int) -> [String]
    private let environment: [String: String]
    private let program: Mutex<Program>

    /// Starts it on a free port, and later again on the same.
    /// - Parameter listen: the arguments that say at which port.
    init(
        _ arguments: [String], environment: [String: String] = [:],
        listen: @escaping @Sendable (_ port: Int) -> [String] = { ["--listen", "127.0.0.1:\($0)"] }
    ) async throws {
        let program = try await Program.asm(
            arguments + listen(try LoopbackPort.free()), environment: environment)
        port = try await program.port()
        self.arguments = arguments
        self.environment = environment
        self.listen = listen
        self.program = Mutex(program)
    }

    var current: Program { program.withLock { $0 } }
    var address: String { "127.0.0.1:\(port)" }

    func kill() async throws { try await current.kill() }

    /// Tells it to end in order, as systemd does, and waits until it has.
    /// - Returns: how long it took.
    @discardableResult
    func drain(within limit: Duration = .seconds(30)) async throws -> Duration {
        let begin = ContinuousClock.now
        current.signal(SIGTERM)
        let ended = try await current.ended(within: limit)
        guard ended.exitStatus == 0 else { throw Program.Failure(description: current.tail) }
        return .now - begin
    }

    /// - Parameters:
    ///   - version: as which it is started now.
    ///   - more: what this process is told beside what the server always is.
    func start(as version: Program.Version = .current, environment more: [String: String] = [:]) async throws
    {
        let new = try await Program.asm(
            arguments + listen(port), as: version, environment: environment.merging(more) { $1 })
        _ = try await new.port()
        program.withLock { $0 = new }
    }
}

/// ASM Services and Web Services as processes on one PostgreSQL database, with users.
final class Deployment: Sendable {
    static let password = "correct horse battery"

    /// The database server of the tests, if no other was given.
    let postgres: PostgresServer
    let databaseURL: String
    let services: [Server]
    let webServers: [Server]
    let passwordFile: String
    private let folder: String

    /// - Parameters:
    ///   - users: how many; they are called user1, user2 … .
    ///   - database: the URL of an empty database; one of the tests' own server by default.
    ///   - firstDatabase: by which URL the first ASM Service reaches it, where that is another.
    ///   - environments: of each ASM Service in turn; the last is that of all that follow.
    ///   - sql: what is done with the tests' own database before the first server starts.
    ///   - route: what stands between the Web Services and the ASM Services, by the services' addresses.
    init(
        services serviceCount: Int = 2, webs webCount: Int = 2, users: Int, database: String? = nil,
        firstDatabase: String? = nil,
        environments: [[String: String]] = [],
        prepare sql: String? = nil,
        route: ([String]) async throws -> [String] = { $0 }
    ) async throws {
        postgres = try PostgresServer.shared()
        if let database { databaseURL = database } else { databaseURL = try await postgres.createDatabase() }
        folder = NSTemporaryDirectory() + "asm-deployment-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        passwordFile = folder + "/password"
        try Self.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
        try await Self.addUsers(users, to: databaseURL, passwordFile: passwordFile)
        if let sql {
            try postgres.execute(sql, database: String(databaseURL.split(separator: "/").last ?? ""))
        }
        var services: [Server] = []
        for number in 0..<serviceCount {
            // The name under which the database knows the process.
            let database = number == 0 ? firstDatabase ?? databaseURL : databaseURL
            let url = database + "?application_name=service-\(number)"
            services.append(
                try await Server(
                    ["service", "--database", url],
                    environment: environments.isEmpty
                        ? [:] : environments[min(number, environments.count - 1)]))
        }
        self.services = services
        let list = try await route(services.map(\.address)).joined(separator: ",")
        var webs: [Server] = []
        for _ in 0..<webCount { webs.append(try await Server(["web-service", "--server", list])) }
        webServers = webs
        for web in self.webs { try await Self.untilReady(web, servers: serviceCount) }
    }

    deinit {
        // A temporary folder left behind harms nobody.
        try? FileManager.default.removeItem(atPath: folder)
    }

    var webs: [Web] { webServers.map { Web(port: $0.port) } }
    var databaseName: String { String(databaseURL.split(separator: "/").last ?? "") }

    /// Logs a user in at one of the Web Services.
    func logIn(_ number: Int, at web: Int) async throws -> Web.Login {
        try await webs[web].logIn("user\(number)", password: Self.password)
    }

    /// Logs in and connects live.
    func person(_ number: Int, at web: Int) async throws -> Person {
        let person = Person(try await logIn(number, at: web))
        try await person.connect(to: webs[web])
        return person
    }

    /// Waits until every Web Service is connected to so many ASM Services.
    func untilConnected(servers: Int) async throws {
        for web in webs { try await Self.untilReady(web, servers: servers) }
    }

    /// What all servers said last, for the comment of an expectation.
    var report: Comment {
        Comment(rawValue: (services + webServers).map(\.current.tail).joined(separator: "\n"))
    }

    static func addUsers(_ count: Int, to database: String, passwordFile: String) async throws {
        for arguments in [
            ["customer", "add", "Mercy", "--database", database],
            [
                "user", "add", "--customer", "Mercy", "--count", "\(count)", "user%d", "--password-file",
                passwordFile,
                "--database", database,
            ],
        ] {
            let ended = try await Program.run(arguments)
            guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
        }
    }

    static func untilReady(_ web: Web, servers: Int) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            // Not being reachable yet is what is waited for.
            if let connections = try? await web.metric("asm_link_connections"), connections >= servers {
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NotInTime(what: "\(web) should be connected to \(servers) ASM Services", limit: .seconds(30))
    }
}
