import Foundation
import TestSupport
import Testing
import TransportSecurity

@testable import SystemSupport

extension SystemTests {
    @Suite("A deployment under TLS", .serialized)
    struct SecureLinkTests {
        @Test(
            "F01 under TLS: kill -9 under load loses and doubles nothing, and no client notices",
            .timeLimit(.minutes(3)))
        func failover() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, webs: 2, users: 2)
                let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
                let talk = try await Talk(people, at: deployment.webs[0])
                let record = Record()

                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(8), in: record)
                    }
                    for victim in deployment.services {
                        try await Task.sleep(for: .seconds(1))
                        try await victim.kill()
                        try await victim.start()
                        for web in deployment.webs { try await Deployment.untilReady(web, servers: 2) }
                    }
                    try await tasks.waitForAll()
                }

                let report = Comment(rawValue: deployment.report)
                try await record.expectKept([talk], at: deployment.webs, report)
                #expect(record.acknowledged == 800, report)
                #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
            }
        }

        /// How often a client without a connection comes while certificates change.
        private static let newClients = 100

        @Test(
            "F54: all certificates are replaced under load, and not one message or request fails",
            .timeLimit(.minutes(3)))
        func replacedUnderLoad() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, users: 2)
                let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 0)]
                let talk = try await Talk(people, at: deployment.webs[0])
                let record = Record()
                let (web, certificates) = (deployment.webs[0], deployment.certificates)
                let before = try await Self.served(by: web)

                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(20), in: record)
                    }
                    tasks.addTask {
                        for _ in 0..<Self.newClients {
                            // A process of its own, so that each makes its own handshake.
                            let ended = try await OpenSSL.run(
                                "/usr/bin/curl",
                                ["-sS", "-f", "--cacert", certificates.authorityFile]
                                    + ["\(web)/readyz", "-o", "/dev/null"], input: "")
                            #expect(ended.status == 0, Comment(rawValue: ended.text))
                            try await Task.sleep(for: .milliseconds(150))
                        }
                    }
                    try await Task.sleep(for: .seconds(2))
                    for name in SecureDeployment.names {
                        try SecureDeployment.issue(name, from: certificates)
                        try await Task.sleep(for: .milliseconds(50))
                    }
                    try await Self.until("the new certificate is served") {
                        try await Self.served(by: web) != before
                    }
                    // What was connected before is gone now: both tiers meet with what they read since.
                    try await deployment.services[0].kill()
                    try await deployment.services[0].start()
                    try await Deployment.untilReady(web, servers: 2)
                    try await tasks.waitForAll()
                }

                let report = Comment(rawValue: deployment.report)
                let new = try #require(
                    try CertificateDetails.all(in: certificates.folder + "/site.pem").first)
                #expect(try await Self.served(by: web) == new.colonFingerprint)
                try await record.expectKept([talk], at: deployment.webs, report)
                #expect(record.acknowledged == 2_000, report)
                #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
            }
        }

        @Test(
            "asm send and asm listen verify the certificate, and take an authority of one's own with --ca",
            .timeLimit(.minutes(2)))
        func commands() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await SecureDeployment(in: folder, services: 1, users: 2)
                let reader = try await deployment.person(2, at: 0)
                let others = try TestCertificates(in: folder, named: "others")
                func send(_ more: [String]) async throws -> Program.Progress {
                    try await Program.run(
                        [
                            "send", "--web", "\(deployment.webs[0])", "--login", "user1", "--password-file",
                            deployment.passwordFile, "--to", "user2", "--subject", "TLS", "hello",
                        ] + more)
                }

                for arguments in [[], ["--ca", others.authorityFile]] {
                    let ended = try await send(arguments)
                    #expect(ended.exitStatus != 0)
                    #expect(ended.errorText.contains("not trusted here"), Comment(rawValue: ended.errorText))
                }
                let absent = try await send(["--ca", folder + "/absent.pem"])
                #expect(absent.exitStatus != 0)
                #expect(absent.errorText.contains("absent.pem"), Comment(rawValue: absent.errorText))
                let sent = try await send(["--ca", deployment.certificates.authorityFile])
                #expect(sent.exitStatus == 0, Comment(rawValue: sent.errorText))
                try await reader.untilSeen(1)

                let listener = try await Program.asm([
                    "listen", "--web", "\(deployment.webs[0])", "--login", "user2", "--password-file",
                    deployment.passwordFile, "--ca", deployment.certificates.authorityFile,
                ])
                _ = try await listener.progress.until("asm listen is connected") {
                    $0.errorText.contains("Listening to") ? true : nil
                }

                // A site whose certificate is for another host.
                try deployment.certificates.issue("site", role: .https, hosts: ["asm.example"])
                try await deployment.webServers[0].kill()
                try await deployment.webServers[0].start()
                let misled = try await send(["--ca", deployment.certificates.authorityFile])
                #expect(misled.exitStatus != 0)
                #expect(misled.errorText.contains(Self.otherHost), Comment(rawValue: misled.errorText))
                let told = try await listener.progress.until("asm listen says why it is not connected") {
                    $0.errorText.split(separator: "\n").first { $0.contains(Self.otherHost) }
                }
                let sentence = "Not connected (\(Self.otherHost)); trying again in "
                #expect(told.hasPrefix(sentence) && told.hasSuffix(" s."), "\(told)")
                #expect(Double(told.dropFirst(sentence.count).dropLast(" s.".count)) != nil, "\(told)")
            }
        }

        /// What commands say of a certificate that is not the host's.
        private static let otherHost = "its certificate is for another host"

        /// The fingerprint of the certificate that a web server shows now.
        private static func served(by web: Web) async throws -> String? {
            let shown = try await OpenSSL.run(["s_client", "-connect", "127.0.0.1:\(web.port)"])
            let print = try await OpenSSL.run(
                ["x509", "-noout", "-fingerprint", "-sha256"], input: shown.text)
            return print.text.split(separator: "=").last.map { $0.filter { !$0.isNewline } }
        }

        static func until(_ what: String, _ isSo: () async throws -> Bool) async throws {
            let end = ContinuousClock.now + .seconds(30)
            while try await !isSo() {
                guard ContinuousClock.now < end else { throw NotInTime(what: what, limit: .seconds(30)) }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
