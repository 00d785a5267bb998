import Foundation
import TestSupport

/// One database with its licences and servers, as an operator sees them through commands.
struct Installation: Sendable {
    /// Times so short that an outage of ten minutes takes a few seconds.
    static let shortTimes = """
        {"cluster": {"beatSeconds": 0.5, "lastActiveSeconds": 1, "inactiveSeconds": 6, "sightingSeconds": 1,
                     "unreachableSeconds": 2, "stableSeconds": 3}}
        """

    /// Reads from the database without any of our code.
    let query: @Sendable (_ sql: String) async throws -> String
    let databaseURL: String
    let folder: String
    private let times: String
    /// The settings file with the short times.
    var shortTimesFile: String { folder + "/short-times.json" }

    init(_ deployment: Deployment, folder: String) throws {
        try self.init(
            databaseURL: deployment.databaseURL, folder: folder,
            query: Self.query(deployment.postgres, deployment.databaseURL))
    }

    /// A new database, without any server yet.
    static func new(on postgres: PostgresServer, folder: String) async throws -> Installation {
        let url = try await postgres.createDatabase()
        let installation = try Installation(databaseURL: url, folder: folder, query: query(postgres, url))
        try Deployment.password.write(
            toFile: installation.passwordFile, atomically: true, encoding: .utf8)
        try await Deployment.addUsers(
            2, to: installation.databaseURL, passwordFile: installation.passwordFile)
        return installation
    }

    /// A database that is there already.
    /// - Parameters:
    ///   - times: settings of the services, instead of the usual short times.
    ///   - query: runs one statement there and answers what `psql -At` prints.
    init(
        databaseURL: String, folder: String, times: String = shortTimes,
        query: @escaping @Sendable (_ sql: String) async throws -> String
    ) throws {
        self.databaseURL = databaseURL
        self.folder = folder
        self.times = times
        self.query = query
        try writeTimes()
    }

    private var passwordFile: String { folder + "/password" }

    private func writeTimes() throws {
        try times.write(toFile: shortTimesFile, atomically: true, encoding: .utf8)
    }

    /// Starts an ASM Service with short times.
    func service(name: String? = nil) async throws -> Server {
        try await Server(
            ["service", "--database", databaseURL, "--config", shortTimesFile]
                + (name.map { ["--name", $0] } ?? []))
    }

    /// Starts an ASM Service with short times on a port that the system chooses; it is not to be started again.
    func passingService() async throws -> Server {
        try await Server(["service", "--database", databaseURL, "--config", shortTimesFile]) { _ in
            ["--listen", "127.0.0.1:0"]
        }
    }

    /// Runs a command of `asm` on this database; its output.
    @discardableResult
    func run(_ arguments: String...) async throws -> String {
        let ended = try await Program.run(arguments + ["--database", databaseURL])
        guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
        return ended.outputText
    }

    /// Issues and installs a licence for so many servers.
    func license(servers: Int) async throws {
        let shown = try await run("license", "show")
        guard let number = shown.split(separator: "\n").first?.split(separator: " ").last else {
            throw Program.Failure(description: "license show said \(shown)")
        }
        let file = folder + "/test.license"
        let issued = try await Program.run([
            "license", "issue", "--key", folder + "/issuer.key", "--installation", String(number),
            "--licensee", "Mercy", "--servers", "\(servers)", "--out", file,
        ])
        guard issued.exitStatus == 0 else { throw Program.Failure(description: issued.errorText) }
        try await run("license", "install", file)
    }

    /// What `asm servers` lists, by address.
    func servers() async throws -> [String: JSON] {
        let text = try await run("servers", "--json", "--config", shortTimesFile)
        let list = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))["servers"].list
        return Dictionary(list.map { ($0["server"].text ?? "", $0) }) { $1 }
    }

    /// How many servers are in each state.
    func states() async throws -> [String: Int] {
        try await servers().values.reduce(into: [:]) { $0[$1["state"].text ?? "", default: 0] += 1 }
    }

    /// Waits until `asm servers` shows a server in a state.
    func until(_ address: String, is state: String, within limit: Duration = .seconds(20)) async throws {
        let end = ContinuousClock.now + limit
        var last = ""
        while ContinuousClock.now < end {
            last = try await servers()[address]?["state"].text ?? "absent"
            if last == state { return }
        }
        throw NotInTime(what: "\(address) should be \(state) and is \(last)", limit: limit)
    }

    /// A number that a statement answers, read without any of our code.
    func count(_ sql: String) async throws -> Int {
        let text = try await query(sql)
        guard let number = Int(text.split(separator: "\n").first ?? "") else {
            throw Program.Failure(description: "\(sql): \(text)")
        }
        return number
    }

    private static func query(
        _ postgres: PostgresServer, _ url: String
    ) -> @Sendable (String) async throws -> String {
        let name = String(url.split(separator: "/").last ?? "")
        return { [port = postgres.port] sql in
            let program = try await Program(
                "psql", path: "/usr/bin/psql",
                ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", "-d", name, "-Atc", sql])
            let ended = try await program.ended()
            return ended.outputText + ended.errorText
        }
    }

    /// How often an event has been raised.
    func events(_ name: String) async throws -> Int {
        try await count("SELECT count(*) FROM event_log WHERE event = '\(name)'")
    }

    /// How many incidents of a kind there have been.
    func incidents(_ kind: String, open: Bool? = nil) async throws -> Int {
        let state = open.map { $0 ? " AND closed_at IS NULL" : " AND closed_at IS NOT NULL" } ?? ""
        return try await count("SELECT count(*) FROM incident WHERE kind = '\(kind)'" + state)
    }

    /// Waits until a number is what it should be.
    func until(
        _ what: String, within limit: Duration = .seconds(30), _ holds: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if try await holds() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw NotInTime(what: what, limit: limit)
    }
}
