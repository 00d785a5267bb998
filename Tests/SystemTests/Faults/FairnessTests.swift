import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension TimedTests {
    @Suite("One customer that does its worst", .serialized)
    struct FairnessTests {
        /// A small version of what docs/performance.md measures: it shows that it runs, not how fast.
        @Test(
            "the load generator measures another customer under attack, and its verdict can fail",
            .timeLimit(.minutes(4)))
        func fairness() async throws {
            let postgres = try PostgresServer.shared()
            try await withTemporaryFolder { folder in
                let url = try await postgres.createDatabase()
                let passwordFile = folder + "/password"
                try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
                try await Deployment.addUsers(4, to: url, passwordFile: passwordFile)
                for arguments in [
                    ["customer", "add", "Vince", "--database", url],
                    [
                        "user", "add", "--customer", "Vince", "--count", "6", "attacker%d", "--password-file",
                        passwordFile, "--database", url,
                    ],
                ] {
                    let ended = try await Program.run(arguments)
                    try #require(ended.exitStatus == 0, "\(ended.errorText)")
                }
                let health = try LoopbackPort.free()
                let service = try await Server([
                    "service", "--database", url, "--health", "127.0.0.1:\(health)",
                ])
                let web = try await Server(["web-service", "--server", service.address])
                try await Deployment.untilReady(Web(port: web.port), servers: 1)
                let bench = [
                    "bench", "fairness", "--web", "http://127.0.0.1:\(web.port)", "--customer", "Mercy",
                    "--login-pattern", "user%d", "--attacker", "Vince", "--attackers", "6", "--password-file",
                    passwordFile, "--database", url, "--threads", "20000", "--connections", "40",
                    "--seconds", "4", "--json",
                ]

                let ended = try await Program.run(bench + ["--health", "http://127.0.0.1:\(health)"])

                let text: Comment = "\(ended.outputText)\n\(ended.errorText)"
                let read = try JSONSerialization.jsonObject(with: Data(ended.output))
                let report = try #require(read as? [String: Any], text)
                for kind in ["send", "inbox", "logIn"] {
                    let times = (report[kind] as? [String: [String: Double]])?["attacked"]
                    #expect((times?["p99"] ?? 0) > 0, text)
                }
                #expect(report["heartbeatFailures"] as? Int == 0, text)
                // On a busy machine p99 of a few seconds says little; that the exit status follows the verdict does.
                #expect((ended.exitStatus == 0) == (report["ok"] as? Int == 1), text)
                let answers = try #require(report["attackersAnswers"] as? [String: Int], text)
                #expect((answers["429"] ?? 0) > 0 && (answers["200"] ?? 0) > 0, text)
                #expect((answers["500"] ?? 0) == 0, text)
            }
        }
    }
}
