import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension SystemTests {
    @Suite("Certificate Expires", .serialized)
    struct CertificateExpiryTests {
        /// Debian's libfaketime: the process sees another date. Its sleeps do not end in time, so nothing here waits for
        /// what it does later than at its start.
        private static func clock(_ offset: String) -> [String: String] {
            [
                "LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "FAKETIME": offset,
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
            ]
        }

        @Test(
            "is raised once for each certificate of both tiers, however many servers use it, and again at the next threshold",
            .timeLimit(.minutes(3)))
        func raised() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(
                    in: folder, services: 1, users: 1, days: 90, environment: Self.clock("+70d"))
                func expectEvents(_ wanted: [String]) async throws {
                    let list = wanted.map { "summary LIKE '\($0)'" }.joined(separator: " OR ")
                    try await SecureLinkTests.until("events: \(wanted)") {
                        // Fails while it is not so.
                        (try? deployment.postgres.execute(
                            """
                            SELECT 1 / (CASE WHEN count(*) = \(wanted.count) AND count(*) FILTER (WHERE \(list)) =
                                \(wanted.count) THEN 1 ELSE 0 END)
                            FROM event_log WHERE event = 'Certificate Expires'
                            """,
                            database: String(deployment.databaseURL.split(separator: "/").last ?? ""))) != nil
                    }
                }

                let three = [
                    "The certificate CN=asm1 of ASM Service 127.0.0.1:% expires in 19 days, on %",
                    "The certificate CN=web1 of Web Service 127.0.0.1:%service link, client expires in 19 days, on %",
                    "The certificate CN=site of Web Service 127.0.0.1:%, web expires in 19 days, on %",
                ]
                try await expectEvents(three)
                // Another server with the same certificate looks too, and tells nothing anew.
                let link = SecureDeployment.link("asm1", deployment.certificates)
                let start =
                    ["service", "--database", deployment.databaseURL, "--listen", "127.0.0.1:0"] + link
                let another = try await Program.asm(start, environment: Self.clock("+70d"))
                _ = try await another.port()
                let later = try await Program.asm(start, environment: Self.clock("+85d"))
                _ = try await later.port()
                try await expectEvents(
                    three + ["The certificate CN=asm1 of ASM Service 127.0.0.1:% expires in 4 days, on %"])
            }
        }
    }
}
