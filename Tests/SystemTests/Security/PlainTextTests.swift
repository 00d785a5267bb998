import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension CommandTests {
    @Suite("Plain text only where it is allowed by name", .serialized)
    struct PlainTextTests {
        @Test(
            "each start that would speak plain text beyond this machine is refused, and says which option to give",
            .timeLimit(.minutes(2)))
        func refused() async throws {
            try await withTemporaryFolder { folder in
                let database = "sqlite:\(folder)/asm.sqlite"
                try await expectFailure(
                    ["service", "--database", database, "--listen", "0.0.0.0:0"],
                    saying: ["service link at 0.0.0.0:0", "--link-certificate", "--allow-plain-link"])
                try await expectFailure(
                    ["web-service", "--server", "127.0.0.1:1,asm2.example:7400", "--listen", "127.0.0.1:0"],
                    saying: ["service link at asm2.example:7400", "--link-certificate", "--allow-plain-link"])
                try await expectFailure(
                    ["web-service", "--server", "127.0.0.1:1", "--listen", "[::]:0"],
                    saying: ["HTTP at [::]:0", "--certificate", "--allow-plain-http"])
                try await expectFailure(
                    ["up", "--data", folder + "/up", "--web-host", "0.0.0.0", "--web-port", "0"],
                    saying: ["HTTP at 0.0.0.0:0", "--certificate", "--allow-plain-http"])
                #expect(!FileManager.default.fileExists(atPath: folder + "/up"))
                for mode in ["", "?sslmode=require", "?sslmode=verify-ca"] {
                    for command in [["service", "--listen", "127.0.0.1:0"], ["migrate"]] {
                        try await expectFailure(
                            command + ["--database", "postgresql://asm@127.0.0.1,db2.example/asm\(mode)"],
                            saying: ["db2.example", "sslmode=verify-full", "--allow-plain-database"])
                    }
                }
                // Which host it is, and how it is reached, may also stand elsewhere.
                let elsewhere: [(url: String, environment: [String: String], said: String)] = [
                    ("postgresql:///asm", ["PGHOST": "db9.example"], "db9.example"),
                    ("postgresql://127.0.0.1/asm", ["PGHOSTADDR": "192.0.2.9"], "192.0.2.9"),
                    ("postgresql://127.0.0.1/asm?hostaddr=192.0.2.8", [:], "192.0.2.8"),
                    ("postgresql:///asm?service=ward", [:], "service ward"),
                    ("postgresql:///asm", ["PGSERVICE": "ward"], "service ward"),
                    ("postgresql://db9.example/asm", ["PGSSLMODE": "require"], "sslmode=require"),
                ]
                for (url, environment, said) in elsewhere {
                    try await expectFailure(
                        ["migrate", "--database", url], environment: environment,
                        saying: [said, "--allow-plain-database"])
                }
            }
        }

        @Test(
            "what is allowed by an option, in the environment or in the file is served, with a warning that says what it means",
            .timeLimit(.minutes(2)))
        func allowed() async throws {
            try await withTemporaryFolder { folder in
                let file = folder + "/asm.json"
                try #"{"allow": {"plain": {"link": true}}}"#.write(
                    toFile: file, atomically: true, encoding: .utf8)
                let service = [
                    "service", "--database", "sqlite:\(folder)/asm.sqlite", "--listen", "0.0.0.0:0",
                ]
                let web = ["web-service", "--server", "127.0.0.1:1", "--listen", "0.0.0.0:0"]
                let cases: [(arguments: [String], environment: [String: String], warning: String)] = [
                    (service + ["--allow-plain-link"], [:], "The service link is plain text"),
                    (service, ["ASM_ALLOW_PLAIN_LINK": "true"], "The service link is plain text"),
                    (service + ["--config", file], [:], "The service link is plain text"),
                    (web + ["--allow-plain-http"], [:], "HTTP is plain text"),
                    (web, ["ASM_ALLOW_PLAIN_HTTP": "true"], "HTTP is plain text"),
                ]
                for (arguments, environment, warning) in cases {
                    let program = try await Program.asm(arguments, environment: environment)
                    _ = try await program.port()
                    try await program.progress.until("\(arguments) should warn") { progress in
                        progress.errorText.contains(warning) && progress.errorText.contains("can read")
                            ? true : nil
                    }
                    try await program.kill()
                }
            }
        }

        @Test(
            "a database that is not verified, and a certificate for another name than is listened on, are warned of",
            .timeLimit(.minutes(2)))
        func warned() async throws {
            let database = try await Program.run([
                "migrate", "--database", "postgresql://asm@127.0.0.1:1,192.0.2.9:1/asm?connect_timeout=2",
                "--allow-plain-database",
            ])
            #expect(database.errorText.contains("The database connection is not verified"))
            #expect(database.errorText.contains("192.0.2.9"))

            try await withTemporaryFolder { folder in
                let certificates = try TestCertificates(in: folder)
                for (hosts, isWarned) in [(["ward.example"], true), (["ward.example", "127.0.0.1"], false)] {
                    let files = try certificates.issue("link", hosts: hosts)
                    let service = try await Program.asm([
                        "service", "--database", "sqlite:\(folder)/asm.sqlite", "--listen", "127.0.0.1:0",
                        "--link-ca", certificates.authorityFile, "--link-certificate", files.certificate,
                        "--link-key",
                        files.key,
                    ])
                    _ = try await service.port()
                    try await service.kill()
                    let said = try await service.ended().errorText
                    #expect(
                        said.contains("certificate is not for the address this server listens on") == isWarned
                    )
                    #expect(said.contains("ward.example") == isWarned)
                }
            }
        }

        @Test(
            "certificate options that are incomplete or wrong are refused in one line",
            .timeLimit(.minutes(2)))
        func badFiles() async throws {
            try await withTemporaryFolder { folder in
                let certificates = try TestCertificates(in: folder)
                let (one, other) = (try certificates.issue("one"), try certificates.issue("other"))
                let service = [
                    "service", "--database", "sqlite:\(folder)/asm.sqlite", "--listen", "127.0.0.1:0",
                ]
                let link = ["--link-ca", certificates.authorityFile, "--link-certificate", one.certificate]

                try await expectFailure(service + link, saying: ["--link-key is missing", "belong together"])
                try await expectFailure(
                    service + link + ["--link-key", other.key], saying: ["other.key", "does not belong"])
                try await expectFailure(
                    service + link + ["--link-key", folder + "/absent"], saying: ["absent", "No such file"])
                try await expectFailure(
                    [
                        "web-service", "--server", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--certificate",
                        one.key, "--key", one.key,
                    ], saying: ["one.key", "holds no certificate"])
            }
        }
    }
}
