import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension SystemTests {
    @Suite("The drill and the watch over HTTPS", .serialized)
    struct SecureDrillTests {
        private struct Outcome: Decodable {
            struct Moved: Decodable { let from: [String] }

            let ok: Bool
            let sent: Int
            let acknowledged: Int
            let lost: Int
            let doubled: Int
            let reordered: Int
            let missedLive: Int
            let reconnects: Int
            let takeovers: [Moved]
        }

        private static func arguments(_ command: String, _ deployment: SecureDeployment) -> [String] {
            [
                command, "--web", deployment.webs.map(\.description).joined(separator: ","), "--customer",
                "Mercy", "--login-pattern", "user%d", "--password-file", deployment.passwordFile,
            ]
        }

        @Test(
            "F01 and F13 under TLS: a drill kills an ASM Service, a Web Service dies, and all comes through",
            .timeLimit(.minutes(3)))
        func killsUnderTLS() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, webs: 2, users: 8)
                let victim = deployment.services[0]
                let program = try await Program.asm(
                    Self.arguments("drill", deployment) + [
                        "--seconds", "12", "--rate", "40", "--json", "--ca",
                        deployment.certificates.authorityFile, "--kill", "\(victim.current.processID)@3",
                    ])
                try await program.progress.until("the drill should kill", within: .seconds(60)) { progress in
                    progress.errorText.contains("killed process") ? true : nil
                }
                try await victim.start()
                for web in deployment.webs { try await Deployment.untilReady(web, servers: 2) }
                try await deployment.webServers[1].kill()
                try await deployment.webServers[1].start()

                let ended = try await program.ended(within: .seconds(100))

                #expect(deployment.webs.allSatisfy { $0.description.hasPrefix("https://") })
                #expect(ended.exitStatus == 0, "\(ended.outputText)\(ended.errorText)\(deployment.report)")
                let outcome = try JSONDecoder().decode(Outcome.self, from: Data(ended.outputText.utf8))
                #expect(outcome.ok)
                #expect(outcome.acknowledged == 480 + 8 && outcome.sent == outcome.acknowledged)
                #expect(outcome.lost + outcome.doubled + outcome.reordered + outcome.missedLive == 0)
                #expect(outcome.takeovers.first?.from == [victim.address])
                #expect(outcome.reconnects >= 4)
            }
        }

        @Test("A certificate that does not fit is told as what it is", .timeLimit(.minutes(3)))
        func wrongCertificates() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, services: 1, users: 2)
                let stranger = try TestCertificates(in: folder, named: "stranger").authorityFile
                let own = deployment.certificates.authorityFile
                func drill(_ more: [String]) async throws -> Program.Progress {
                    try await Program.run(
                        Self.arguments("drill", deployment) + ["--users", "2", "--seconds", "1"] + more)
                }
                let refused = "of an authority that is not trusted here"

                let system = try await drill([])
                let others = try await drill(["--ca", stranger])
                let absent = try await drill(["--ca", folder + "/nowhere.pem"])
                let plain = try await Program.run(
                    Self.arguments("drill", deployment) + [
                        "--users", "2", "--ca", own, "--web", "http://127.0.0.1:\(deployment.webs[0].port)",
                    ])
                try deployment.certificates.issue("site", role: .https, hosts: ["elsewhere.example"])
                try await deployment.webServers[0].kill()
                try await deployment.webServers[0].start()
                let elsewhere = try await drill(["--ca", own])

                for ended in [system, others, absent, plain, elsewhere] {
                    #expect(ended.exitStatus == 2, "\(ended.outputText)\(ended.errorText)")
                    #expect(ended.outputText.isEmpty)
                }
                #expect(system.errorText.contains(refused), "\(system.errorText)")
                #expect(others.errorText.contains(refused), "\(others.errorText)")
                #expect(absent.errorText.contains("nowhere.pem is not there"), "\(absent.errorText)")
                #expect(plain.errorText.contains("https://"), "\(plain.errorText)")
                #expect(elsewhere.errorText.contains("for another host"), "\(elsewhere.errorText)")
            }
        }

        @Test(
            "The watch trusts the authority that it is given, and says of a wrong certificate that it is one",
            .timeLimit(.minutes(3)))
        func watch() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, webs: 2, users: 2)
                let stranger = try TestCertificates(in: folder, named: "stranger").authorityFile
                func once(_ more: [String]) async throws -> Program.Progress {
                    try await Program.run(
                        Self.arguments("watch", deployment) + ["--once", "--silent-after", "5"] + more)
                }

                let well = try await once(["--ca", deployment.certificates.authorityFile])
                let strange = try await once(["--ca", stranger])
                let absent = try await once(["--ca", folder + "/nowhere.pem"])

                #expect(well.exitStatus == 0, "\(well.outputText)\(well.errorText)")
                #expect(well.outputText.contains("ASM Service \(deployment.services[1].address): delivered"))
                #expect(strange.exitStatus == 2, "\(strange.outputText)")
                #expect(
                    strange.outputText.contains("of an authority that is not trusted here"),
                    "\(strange.outputText)")
                #expect(absent.exitStatus == 3)
                #expect(absent.errorText.contains("nowhere.pem is not there"), "\(absent.errorText)")
            }
        }
    }
}
