import Domain
import Foundation
import Logging
import SQLDatabase
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing
import TransportSecurity

@testable import ASMService

@Suite("What a process of the web tier may ask without a log-in", .timeLimit(.minutes(2)))
struct LinkRightsTests {
    private static func files(
        _ certificates: TestCertificates, _ name: String, _ role: CertificateRole, days: Int = 90
    ) throws -> SecurityFiles {
        try SecurityFiles(
            certificates.issue(name, role: role, days: days),
            for: role == .service ? .linkServer : .linkClient, logger: quietLogger)
    }

    private static func report(_ fingerprint: String, in days: Double = 5) -> LinkRequest.OneOf_Body {
        .reportCertificate(
            .with {
                $0.subject = "CN=told"
                $0.fingerprint = fingerprint
                $0.notAfter = Int64(Date().timeIntervalSince1970 + days * 86_400)
                $0.component = "Web Service test"
            })
    }

    private static func invented(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 64 - digits.count) + digits
    }

    /// What the events say, newest first.
    private static func summaries(_ test: ServiceUnderTest) async throws -> [String] {
        try await test.store.database.query(
            "SELECT summary FROM event_log WHERE event = 'Certificate Expires'"
        ).map { try $0.string(0) }
    }

    @Test("The list of servers is for Admin Webs", arguments: [CertificateRole.web, .service, .admin])
    func cluster(role: CertificateRole) async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            try await withService(on: .sqlite) { test in
                let server = try await test.server(security: try Self.files(certificates, "asm1", .service))
                let asking = try Self.files(certificates, "asking", role)
                let client = try SecurityFiles(asking.paths, for: .linkClient, logger: quietLogger)
                let web = try test.web(server, security: client)

                do {
                    let answer = try await web.pool.request(.getCluster(LinkGetCluster()), token: nil)
                    guard case .cluster(let cluster) = answer else { throw UnexpectedAnswer() }
                    #expect(role == .admin)
                    #expect(cluster.servers.count == 1)
                } catch let refusal as Refusal {
                    #expect(role != .admin)
                    #expect(refusal.code == .forbidden)
                    #expect(refusal.message.contains("--role admin"))
                }
            }
        }
    }

    @Test(
        "A process reports the certificate of its own connection as the server sees it, and two others a day")
    func reports() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            try await withService(on: .sqlite) { test in
                let server = try await test.server(security: try Self.files(certificates, "asm1", .service))
                let own = try Self.files(certificates, "web1", .web, days: 20)
                let web = try test.web(server, security: own)
                func tell(_ body: LinkRequest.OneOf_Body) async throws {
                    _ = try await web.pool.request(body, token: nil)
                }

                // It says five days; the server sees twenty.
                try await tell(Self.report(own.certificate.fingerprint))
                for number in [1, 2, 1] { try await tell(Self.report(Self.invented(number))) }
                for number in 3...40 {
                    let refusal = await #expect(throws: Refusal.self) {
                        try await tell(Self.report(Self.invented(number)))
                    }
                    #expect(refusal?.code == .tooManyRequests)
                }
                // One that ends later than anybody is told of counts for nothing.
                try await tell(Self.report(Self.invented(99), in: 300))
                try await tell(Self.report(own.certificate.fingerprint))

                let said = try await Self.summaries(test)
                #expect(said.count == 3, "\(said)")
                #expect(
                    !said.contains { $0.contains("CN=web1 of Web Service test expires in 4 days") }, "\(said)"
                )
                #expect(
                    said.contains { $0.contains("CN=web1 of Web Service test expires in ") }, "\(said)"
                )
                #expect(said.count { $0.contains("CN=told") } == 2, "\(said)")
            }
        }
    }

    @Test("Without certificates the reports are counted by address")
    func plain() async throws {
        try await withService(on: .sqlite) { test in
            let server = try await test.server()
            for web in [try test.web(server), try test.web(server)] {
                for number in 1...2 {
                    _ = try await web.pool.request(Self.report(Self.invented(number)), token: nil)
                }
                let refusal = await #expect(throws: Refusal.self) {
                    try await web.pool.request(Self.report(Self.invented(3)), token: nil)
                }
                #expect(refusal?.code == .tooManyRequests)
            }
            #expect(try await Self.summaries(test).count == 2)
        }
    }

    @Test("The quota begins anew after a day, for each reporter by itself")
    func quota() {
        let quota = ReportQuota()
        let now = ContinuousClock.now
        #expect(quota.allows("a", from: "x", at: now))
        #expect(quota.allows("b", from: "x", at: now))
        #expect(!quota.allows("c", from: "x", at: now))
        #expect(quota.allows("a", from: "x", at: now))
        #expect(quota.allows("c", from: "y", at: now))
        #expect(!quota.allows("c", from: "x", at: now + .seconds(86_399)))
        #expect(quota.allows("c", from: "x", at: now + .seconds(86_400)))
    }

    @Test(
        "A report with a time that is none is refused, and the server goes on",
        arguments: [Int64.min, -1, .max])
    func times(notAfter: Int64) async throws {
        try await withService(on: .sqlite) { test in
            let server = try await test.server()
            let web = try test.web(server)
            guard case .reportCertificate(var report) = Self.report(Self.invented(1)) else { return }
            report.notAfter = notAfter
            let wrong = report
            let refusal = await #expect(throws: Refusal.self) {
                try await web.pool.request(.reportCertificate(wrong), token: nil)
            }
            #expect(refusal?.code == .badRequest)
            #expect(refusal?.message.contains("`not_after`") == true)
            guard case .status(let status) = try await web.pool.request(.getStatus(.init()), token: nil)
            else {
                throw UnexpectedAnswer()
            }
            #expect(status.state == "active")
        }
    }
}
