import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension SystemTests {
    @Suite("PostgreSQL under TLS", .serialized)
    struct DatabaseTLSTests {
        @Test(
            "verify-full is served by a server of the authority, and refuses another name and another authority",
            .timeLimit(.minutes(2)))
        func verifyFull() async throws {
            try await withTemporaryFolder { folder in
                let certificates = try TestCertificates(in: folder)
                let others = try TestCertificates(in: folder, named: "others")
                let paths = try certificates.issue("db1", role: .https, hosts: ["127.0.0.1", "db1.example"])
                for file in [folder, certificates.folder, paths.key, paths.certificate] {
                    _ = try await OpenSSL.run("/usr/bin/chown", ["postgres", file], input: "")
                }
                let postgres = try PostgresServer(settings: [
                    "ssl=on", "ssl_cert_file=\(paths.certificate)", "ssl_key_file=\(paths.key)",
                ])
                let url = try await postgres.createDatabase()
                let verified = url + "?sslmode=verify-full&sslrootcert="

                let migrated = try await Program.run(
                    ["migrate", "--database", verified + certificates.authorityFile])
                #expect(migrated.exitStatus == 0, Comment(rawValue: migrated.errorText))
                try await expectFailure(
                    ["migrate", "--database", verified + others.authorityFile],
                    saying: ["127.0.0.1:\(postgres.port)", "certificate verify failed"])
                let otherName = verified.replacingOccurrences(of: "127.0.0.1", with: "localhost")
                try await expectFailure(
                    ["migrate", "--database", otherName + certificates.authorityFile],
                    saying: ["localhost", "does not match host name"])
                try await expectFailure(
                    ["migrate", "--database", verified + folder + "/absent.pem"], saying: ["absent.pem"])
            }
        }
    }
}
