import Foundation
import TestSupport
import Testing

@testable import SystemSupport

/// What users run, from the program that they get: `make test` names the release build in `ASM_TEST_BINARY`.
///
/// The optimiser of Swift 6.3 once broke a command that every test of a debug build passed.
@Suite("What users run", .serialized, .timeNoted)
struct ReleaseTests {
    @Test(
        "`asm watch --once` finds both Web Services and both ASM Services, twenty times of twenty",
        .timeLimit(.minutes(3)))
    func watch() async throws {
        let deployment = try await Deployment(users: 2)
        let arguments =
            ["watch", "--once", "--token-cache", deployment.passwordFile + ".tokens"]
            + Self.people(deployment)

        for round in 1...20 {
            let ended = try await Program.run(arguments)
            let said = Comment(rawValue: "round \(round): \(ended.outputText)\n\(ended.errorText)")
            #expect(ended.exitStatus == 0, said)
            for server in deployment.webs.map(\.description) + deployment.services.map(\.address) {
                #expect(ended.outputText.contains("\(server): delivered within"), said)
            }
        }
    }

    @Test("every command that the help lists does its work", .timeLimit(.minutes(4)))
    func commands() async throws {
        try await withTemporaryFolder { folder in
            let every = EveryCommand()
            let deployment = try await Deployment(users: 4)
            every.note("service", "web-service")
            let database = ["--database", deployment.databaseURL]

            try await Self.runEmbedded(every, in: folder)
            try await Self.runAccounts(every, database, deployment)
            try await Self.runCertificates(every, in: folder)
            try await Self.runLicenses(every, database, in: folder)
            try await Self.runEvents(every, database)
            try await Self.runClients(every, deployment)
            try await Self.runFairness(every, deployment)
            try await Self.runServers(every, database, deployment)

            #expect(try await EveryCommand.all() == every.commands)
        }
    }

    private static func people(_ deployment: Deployment) -> [String] {
        [
            "--web", deployment.webs.map(\.description).joined(separator: ","), "--customer", "Mercy",
            "--login-pattern", "user%d", "--password-file", deployment.passwordFile,
        ]
    }
}

// MARK: - The commands by what they are for

extension ReleaseTests {
    private static func runEmbedded(_ every: EveryCommand, in folder: String) async throws {
        let program = try await Program.asm([
            "up", "--data", folder + "/data", "--web-port", "0", "--admin-port", "0", "--demo",
        ])
        _ = try await program.port()
        program.signal(SIGTERM)
        #expect(try await program.ended().exitStatus == 0, Comment(rawValue: program.tail))
        let admin = try await Program.asm([
            "admin-web", "--server", "127.0.0.1:1", "--listen", "127.0.0.1:0",
        ])
        _ = try await admin.port()
        admin.signal(SIGTERM)
        #expect(try await admin.ended().exitStatus == 0, Comment(rawValue: admin.tail))
        every.note("up", "admin-web")
    }

    private static func runAccounts(
        _ every: EveryCommand, _ database: [String], _ deployment: Deployment
    ) async throws {
        try await every.run("settings", ["web-service", "--drain-delay", "3"], says: "this line")
        try await every.run("migrate", database, says: "schema")
        try await every.run("customer add", ["St. Vince"] + database, says: "St. Vince")
        try await every.run(
            "user add",
            ["--customer", "St. Vince", "--name", "Bo Ek", "bo", "--password-file", deployment.passwordFile]
                + database, says: "bo")
    }

    private static func runCertificates(_ every: EveryCommand, in folder: String) async throws {
        let authority = folder + "/ca"
        try await every.run("certificates init", [authority], says: "ca.pem")
        try await every.run(
            "certificates issue", ["asm1", "--host", "127.0.0.1", "--dir", authority], says: "asm1.pem")
        try await every.run("certificates show", [authority + "/asm1.pem"], says: "127.0.0.1")
    }

    private static func runLicenses(
        _ every: EveryCommand, _ database: [String], in folder: String
    ) async throws {
        let shown = try await every.run("license show", database, says: "Installation: ")
        let number = shown.split(separator: "\n").first?.split(separator: " ").last.map(String.init)
        let file = folder + "/mercy.license"
        try await every.run(
            "license issue",
            [
                "--key", folder + "/issuer.key", "--installation", try #require(number), "--licensee",
                "Mercy", "--servers", "2", "--out", file,
            ], says: "mercy.license")
        try await every.run("license install", [file] + database, says: "Mercy")
        try await every.run("license remove", database, says: "nothing is limited")
    }

    private static func runEvents(_ every: EveryCommand, _ database: [String]) async throws {
        let peer = try await MailPeer()
        try await every.run("events list", database, says: "Server Inactive")
        try await every.run("events show", ["Server Inactive"] + database, says: "Server Inactive")
        try await every.run(
            "events set", ["Device Registered", "--log", "yes"] + database, says: "Device Registered")
        try await every.run(
            "events mail add",
            [
                "--to", "ops@mercy.example", "--from", "asm@mercy.example", "--server", "127.0.0.1", "--port",
                "\(peer.port)",
            ] + database, says: "has been added")
        try await every.run("events mail list", database, says: "ops@mercy.example")
        try await every.run("events mail test", ["default"] + database, says: "ops@mercy.example")
        #expect(try await peer.until(mails: 1).first?.body.contains("This is a test message.") == true)
        try await every.run(
            "events mail edit", ["default", "--to", "night@mercy.example"] + database,
            says: "has been changed")
        try await every.run("events mail outbox", ["--sent"] + database, says: "There is no such mail")
        try await every.run(
            "events mail retry", ["all"] + database, says: "No such mail has been given up", status: 64)
        try await every.run("events mail delete", ["default"] + database, says: "has been deleted")
        try await every.run("events log", ["--since", "1h"] + database, says: "Nothing has been logged")
        try await every.run("events options", ["--retention-days", "30"] + database, says: "30")
    }

    private static func runClients(_ every: EveryCommand, _ deployment: Deployment) async throws {
        let web = [
            "--web", deployment.webs[0].description, "--customer", "Mercy", "--password-file",
            deployment.passwordFile,
        ]
        let listening = try await Program.asm(
            ["listen", "--login", "user2", "--count", "1", "--for", "30"] + web)
        try await listening.progress.until("it should listen") { $0.errorText.isEmpty ? nil : true }
        try await every.run(
            "send",
            ["--login", "user1", "--to", "user2", "--subject", "Bed 12", "The results are in."] + web,
            says: "Sent 1 message")
        let heard = try await listening.ended()
        #expect(
            heard.exitStatus == 0 && heard.outputText.contains("Bed 12"), Comment(rawValue: listening.tail))
        every.note("listen")

        let people = people(deployment)
        try await every.run(
            "drill", people + ["--users", "4", "--seconds", "4", "--rate", "20"], says: "PASS")
        try await every.run("watch", ["--once"] + people, says: "delivered within")
        let load = people + ["--seconds", "1", "--warmup", "0", "--rate", "50"]
        try await every.run("bench messages", load + ["--users", "4"], says: "users")
        try await every.run("bench groups", load + ["--groups", "1", "--members", "4"], says: "users")
        try await every.run(
            "bench connections", people + ["--connections", "20", "--users", "2", "--idle", "1"],
            says: "connections")
        try await every.run(
            "bench logins", people + ["--count", "4", "--concurrency", "2", "--users", "2"], says: "log-ins")
    }

    /// Whether the load of a second passes its test is no matter here.
    private static func runFairness(_ every: EveryCommand, _ deployment: Deployment) async throws {
        let ended = try await Program.run(
            ["bench", "fairness", "--attacker", "Mercy", "--attacker-pattern", "user%d", "--attackers", "2"]
                + ["--connections", "4", "--seconds", "1"] + people(deployment))
        #expect([0, 1].contains(ended.exitStatus), "\(ended.errorText)")
        #expect(ended.outputText.contains("log-in"), "\(ended.outputText)")
        every.note("bench fairness")
    }

    private static func runServers(
        _ every: EveryCommand, _ database: [String], _ deployment: Deployment
    ) async throws {
        let (first, second) = (deployment.services[0], deployment.services[1])
        try await every.run("servers list", database, says: first.address)
        try await every.run("drain", [first.address, "--wait"] + database, says: first.address)
        try await every.run(
            "servers release", [second.address, "--running"] + database, says: second.address)
        try await every.run("servers remove", [first.address] + database, says: first.address)
        try await second.drain()
        try await every.run(
            "log new-epoch", ["--customer", "Mercy"] + database, says: "1 log has a new epoch")
    }
}
