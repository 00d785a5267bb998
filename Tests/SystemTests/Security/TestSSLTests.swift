import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What testssl.sh says of HTTPS", .serialized)
    struct TestSSLTests {
        private struct Finding: Decodable {
            let id: String
            let severity: String
            let finding: String
        }

        /// Findings that are no weakness of ours, with the reason.
        private static let excused = [
            // Of the tool's own openssl.
            "engine_problem",
            // A certificate of an own authority has no revocation service; docs/transport-security.md says what one does
            // when a key leaks. A public authority's certificate has one.
            "cert_revocation",
        ]
        private static let acceptable: Set<String> = ["OK", "INFO", "LOW"]
        /// Protocols, suites, order, certificate, headers, known attacks; forward secrecy shows in the suites.
        /// In two runs side by side, because each of them waits most of its time.
        private static let checks = [["-p", "-s", "-P", "-S", "-h"], ["-U"]]

        @Test("nothing above LOW", .timeLimit(.minutes(5)))
        func nothingAboveLow() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, services: 1, users: 1)
                let port = deployment.webServers[0].port
                let authority = deployment.certificates.authorityFile
                let ended = try await withThrowingTaskGroup(of: Report.self) { runs in
                    for (number, checks) in Self.checks.enumerated() {
                        runs.addTask {
                            try await Self.run(
                                checks + ["--add-ca", authority], at: port, "\(folder)/testssl\(number).json")
                        }
                    }
                    var reports: [Report] = []
                    for try await report in runs { reports.append(report) }
                    return reports
                }
                let findings = ended.flatMap(\.findings)
                let said = ended.map(\.said).joined()

                // It must have looked: at protocols, at the certificate, for attacks, at the headers.
                for id in ["TLS1_3", "cert_chain_of_trust", "heartbleed", "HSTS_time", "cipher_order"] {
                    #expect(
                        findings.contains { $0.id == id && ["OK", "INFO"].contains($0.severity) },
                        "\(id): \(said)")
                }
                for finding in findings where !Self.excused.contains(finding.id) {
                    #expect(
                        Self.acceptable.contains(finding.severity),
                        "\(finding.severity): \(finding.id): \(finding.finding)")
                }
            }
        }

        /// What one run found, and said while it looked.
        private struct Report: Sendable {
            let findings: [Finding]
            let said: String
        }

        private static func run(
            _ arguments: [String], at port: Int, _ report: String
        ) async throws -> Report {
            let program = try await Program(
                "testssl", path: "/usr/bin/testssl",
                [
                    "--quiet", "--color", "0", "--warnings", "batch", "--openssl-timeout", "10", "--jsonfile",
                    report, "--ip", "one",
                ] + arguments + ["127.0.0.1:\(port)"])
            let ended = try await program.ended(within: .seconds(280))
            let findings = try JSONDecoder().decode(
                [Finding].self, from: Data(contentsOf: URL(fileURLWithPath: report)))
            return Report(findings: findings, said: ended.outputText)
        }
    }
}
