import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension CommandTests {
    @Suite("asm certificates", .serialized)
    struct CertificatesCommandTests {
        @Test(
            "init, issue and show make what the processes take, and overwrite nothing",
            .timeLimit(.minutes(2)))
        func wholeWay() async throws {
            try await withTemporaryFolder { parent in
                let folder = parent + "/new/ca"
                let issue = ["certificates", "issue", "asm1", "--host", "127.0.0.1", "--dir", folder]
                for arguments in [["certificates", "init", folder], issue] {
                    let ended = try await Program.run(arguments)
                    #expect(ended.exitStatus == 0, Comment(rawValue: ended.errorText))
                    #expect(!ended.outputText.contains("PRIVATE"))
                }
                for file in ["ca.key", "asm1.key"] {
                    let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(file)")[
                        .posixPermissions]
                    #expect(mode as? Int == 0o600)
                }
                let key = try String(contentsOfFile: folder + "/asm1.key", encoding: .utf8)
                try await expectFailure(
                    ["certificates", "init", folder], saying: ["ca.pem", "exists already"])
                try await expectFailure(issue, saying: ["asm1.pem", "exists already", "--replace"])
                #expect(try String(contentsOfFile: folder + "/asm1.key", encoding: .utf8) == key)
                #expect(try await Program.run(issue + ["--replace"]).exitStatus == 0)
                #expect(try String(contentsOfFile: folder + "/asm1.key", encoding: .utf8) != key)

                let shown = try await Program.run(
                    ["certificates", "show", folder + "/asm1.pem", folder + "/ca.pem"]).outputText
                for words in [
                    "Subject:     CN=asm1", "Issuer:      CN=ASM cluster authority", "Names:       127.0.0.1",
                    "For use as:  server, client", "For use as:  authority", "Days left:   39", "SHA-256:",
                ] {
                    #expect(shown.contains(words), "\(words) is not in \(shown)")
                }
            }
        }

        @Test("bad input is refused in one line", .timeLimit(.minutes(2)))
        func badInput() async throws {
            try await withTemporaryFolder { folder in
                let ca = folder + "/ca"
                _ = try await Program.run(["certificates", "init", ca])
                let issue = ["certificates", "issue", "--dir", ca]
                try await expectFailure(
                    issue + ["a", "--host", "asm1:7400"], saying: ["asm1:7400", "without a port"])
                try await expectFailure(issue + ["../a"], saying: ["../a", "cannot be the name"])
                try await expectFailure(issue + ["a", "--days", "0"], saying: ["0 days"])
                try await expectFailure(
                    ["certificates", "issue", "a", "--dir", folder + "/absent"],
                    saying: ["absent/ca.pem", "cannot be read"])
                try "garbage".write(toFile: ca + "/ca.key", atomically: true, encoding: .utf8)
                try await expectFailure(issue + ["a"], saying: ["ca.key", "holds no private key"])
                try await expectFailure(
                    ["certificates", "show", ca + "/ca.key"], saying: ["ca.key", "holds no certificate"])
            }
        }

        @Test("show says with its status that a certificate has expired", .timeLimit(.minutes(1)))
        func expired() async throws {
            try await withTemporaryFolder { folder in
                let certificates = try TestCertificates(in: folder)
                let old = try certificates.issue("old", days: 1, now: Date() - 3 * 86_400)

                let ended = try await Program.run(["certificates", "show", old.certificate])

                #expect(ended.exitStatus == 1)
                #expect(ended.outputText.contains("none, it has expired"))
            }
        }
    }
}
