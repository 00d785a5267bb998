import Foundation
import TestSupport

/// ASM Services as processes that tell administrators of events, and the `asm events` commands to set that up.
final class EventSetUp: Sendable {
    static let smtpPassword = "canary-horse-staple"

    let databaseURL: String
    let folder: String
    let certificates: MailCertificates
    let passwordFile: String
    private let smtpPasswordFile: String
    let settingsFile: String
    /// Where the mail servers are.
    private let mailHost: String

    /// With a new database.
    /// - Parameter folder: an empty one, which outlives this.
    convenience init(in folder: String, users: Int = 1) async throws {
        try self.init(on: try await PostgresServer.shared().createDatabase(), in: folder)
        try await Deployment.addUsers(users, to: databaseURL, passwordFile: passwordFile)
    }

    /// On a database that is there already, for mail servers at an address.
    init(on database: String, in folder: String, mailHost: String = "127.0.0.1") throws {
        self.folder = folder
        self.mailHost = mailHost
        databaseURL = database
        certificates = try MailCertificates(in: folder, for: mailHost)
        passwordFile = folder + "/password"
        smtpPasswordFile = folder + "/smtp-password"
        settingsFile = folder + "/settings.json"
        try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
        try Self.smtpPassword.write(toFile: smtpPasswordFile, atomically: true, encoding: .utf8)
        // Quick tries and short leases, so that a test sees several.
        try """
        {"mail": {"ca": "\(certificates.authorities)", "firstRetrySeconds": "1", "leaseSeconds": "9"}}
        """.write(toFile: settingsFile, atomically: true, encoding: .utf8)
    }

    func service() async throws -> Server {
        try await Server(["service", "--database", databaseURL, "--config", settingsFile])
    }

    /// One that is told to fail somewhere.
    func service(failpoint: String) async throws -> Program {
        let program = try await Program.asm(
            ["service", "--database", databaseURL, "--config", settingsFile, "--listen", "127.0.0.1:0"],
            environment: ["ASM_FAILPOINT": failpoint])
        _ = try await program.port()
        return program
    }

    /// Runs `asm events …` to its end.
    func run(_ arguments: String...) async throws -> Program.Progress {
        try await Program.run(
            ["events"] + arguments + ["--database", databaseURL, "--config", settingsFile])
    }

    /// The same, for what must succeed.
    @discardableResult
    func events(_ arguments: String...) async throws -> String {
        let ended = try await Program.run(
            ["events"] + arguments + ["--database", databaseURL, "--config", settingsFile])
        guard ended.exitStatus == 0 else {
            throw Program.Failure(description: "events \(arguments): \(ended.errorText)")
        }
        return ended.outputText
    }

    /// Adds an e-mail entry and answers its number.
    @discardableResult
    func addEntry(_ event: String? = nil, to: String, port: Int, _ more: [String] = []) async throws -> String
    {
        let arguments =
            [
                "events", "mail", "add", "--to", to, "--from", "asm@mercy.example", "--server", mailHost,
                "--port",
            ]
            + ["\(port)", "--database", databaseURL] + (event.map { ["--event", $0] } ?? []) + more
        let ended = try await Program.run(arguments)
        guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
        return ended.outputText.split(separator: " ").last.map {
            $0.trimmingCharacters(in: .whitespacesAndNewlines)
        }
            ?? ""
    }

    var withLogin: [String] { ["--login", "asm", "--password-file", smtpPasswordFile] }
    var peerLogin: [String] { ["--login", "asm:\(Self.smtpPassword)"] }

    /// The mails of the outbox in a state, as the command shows them.
    func outbox(_ flags: String...) async throws -> [JSON] {
        let arguments = ["events", "mail", "outbox", "--json", "--database", databaseURL] + flags
        let ended = try await Program.run(arguments)
        guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
        return try JSONDecoder().decode(JSON.self, from: Data(ended.output)).list
    }

    /// Waits until the outbox is as a test wants it.
    func until(
        _ what: String, _ flags: [String] = [], within limit: Duration = .seconds(60),
        _ isMet: ([JSON]) -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit
        var last: [JSON] = []
        while ContinuousClock.now < end {
            last = flags.isEmpty ? try await outbox() : try await outbox(flags[0])
            if isMet(last) { return }
            try await Task.sleep(for: .milliseconds(300))
        }
        throw NotInTime(what: "\(what): \(last)", limit: limit)
    }

    /// Types wrong passwords at the web until the account is locked.
    func lockOut(_ login: String, at web: Web) async throws {
        for _ in 0..<10 {
            let answer = try await web.call(
                "POST", "/v1/sessions", ["login": .string(login), "password": .string("wrong")])
            guard answer.status == 401 else {
                throw Program.Failure(description: "a wrong password was answered \(answer.status)")
            }
        }
    }
}
