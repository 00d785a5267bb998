import Foundation
import NIOPosix
import ServiceLink
import TestSupport
import Testing
import TransportSecurity

@Suite("The service link under mutual TLS")
struct LinkSecurityTests {
    /// An authority, a server with a certificate of it, and what the server's log says.
    private struct Secured {
        let certificates: TestCertificates
        let log: RecordedLog
        let server: LinkServer
        let service: TestService
        let address: BindAddress

        init(in folder: String, hosts: [String] = ["127.0.0.1", "localhost"]) async throws {
            certificates = try TestCertificates(in: folder)
            log = RecordedLog()
            service = TestService()
            server = LinkServer(
                address: BindAddress(host: "127.0.0.1", port: 0), name: "server", software: "1.0",
                service: service,
                security: try SecurityFiles(
                    certificates.issue("server", hosts: hosts), for: .linkServer, logger: log.logger),
                group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
            address = BindAddress(host: "127.0.0.1", port: try await server.start())
        }

        func refusal() async throws -> String {
            try await log.line("Link connection refused")?.facts["link.reason"] ?? "no refusal in the log"
        }

        /// Connects as the openssl of the system.
        func connect(
            _ paths: SecurityFiles.Paths?, _ arguments: [String] = []
        ) async throws -> OpenSSL.Ended {
            let own = paths.map { ["-cert", $0.certificate, "-key", $0.key] } ?? []
            return try await OpenSSL.connect(
                to: address.port, ["-CAfile", certificates.authorityFile] + own + arguments)
        }
    }

    private func withSecured(
        hosts: [String] = ["127.0.0.1", "localhost"], _ body: (Secured) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            let secured = try await Secured(in: folder, hosts: hosts)
            do {
                try await body(secured)
                await secured.server.closeAtOnce()
            } catch {
                await secured.server.closeAtOnce()
                throw error
            }
        }
    }

    /// A pool with a certificate, and what its log says.
    private func withPool(
        at address: BindAddress, _ paths: SecurityFiles.Paths?,
        _ body: (LinkPool, RecordedLog) async throws -> Void
    ) async throws {
        let log = RecordedLog()
        let pool = LinkPool(
            servers: try ServerList([address]), name: "web", software: "1.0", limits: hastyLimits(),
            security: try paths.map { try SecurityFiles($0, for: .linkClient, logger: log.logger) },
            events: TestEvents(), group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
        pool.start()
        do {
            try await body(pool, log)
            await pool.stop()
        } catch {
            await pool.stop()
            throw error
        }
    }

    @Test(
        "requests pass with certificates of the cluster, and the log names the peer's",
        .timeLimit(.minutes(1)))
    func requestsPass() async throws {
        try await withSecured { secured in
            let web = try secured.certificates.issue("web1", role: .web)
            for address in [secured.address, BindAddress(host: "localhost", port: secured.address.port)] {
                try await withPool(at: address, web) { pool, _ in
                    let answer = try await pool.echo("hello")
                    #expect(answer == "hello")
                }
            }
            let opened = try await secured.log.line("Link connection opened")
            #expect(opened?.facts["link.peer"]?.contains("certificate CN=web1") == true)
        }
    }

    @Test(
        "a peer of another authority, an expired one, and one without a certificate are refused",
        .timeLimit(.minutes(1)))
    func strangers() async throws {
        try await withSecured { secured in
            let others = try TestCertificates(in: secured.certificates.folder, named: "others")
            let old = try secured.certificates.issue(
                "old", role: .web, days: 1, now: Date() - 5 * 86_400)
            let site = try secured.certificates.issue("site", role: .https)
            let cases: [(SecurityFiles.Paths?, [String])] = [
                (
                    try others.issue("web1", role: .web),
                    ["CN=web1", "Authority others", "not an authority in"]
                ),
                (old, ["CN=old", "expired on", "issue a new one"]),
                (nil, ["showed no certificate", "--link-certificate"]),
                (site, ["CN=site", "not for use as a client"]),
            ]
            for (paths, words) in cases {
                let count = secured.log.lines.count
                let ended = try await secured.connect(paths)
                let said = secured.log.lines.dropFirst(count).map { "\($0)" }.joined(separator: "\n")
                for word in words { #expect(said.contains(word), "\(word) is not in: \(said) \(ended.text)") }
                #expect(!said.contains("Link connection opened"))
            }
        }
    }

    @Test("TLS 1.2 and older, and plain text, are refused, with what to do", .timeLimit(.minutes(1)))
    func oldAndPlain() async throws {
        try await withSecured { secured in
            let web = try secured.certificates.issue("web1", role: .web)
            for version in ["-tls1_2", "-tls1_1"] {
                let ended = try await secured.connect(web, [version, "-cipher", "ALL:@SECLEVEL=0"])
                #expect(ended.status != 0)
                #expect(ended.text.contains("alert protocol version"), Comment(rawValue: ended.text))
            }
            #expect(try await secured.refusal().contains("no version of TLS that is allowed"))

            let plain = try await RawClient(secured.address)
            try plain.sendHello()
            try await plain.untilClosed()
            #expect(try await secured.refusal().contains("does not speak TLS"))
            #expect(!secured.log.lines.contains { $0.message == "Link connection opened" })
        }
    }

    @Test("a server with a certificate for another host is not believed", .timeLimit(.minutes(1)))
    func otherHost() async throws {
        try await withSecured(hosts: ["asm2.example", "10.9.9.9"]) { secured in
            let web = try secured.certificates.issue("web1", role: .web)
            try await withPool(at: secured.address, web) { pool, log in
                let line = try await log.line("ASM Service cannot be reached")
                let reason = line?.facts["link.reason"] ?? ""
                for word in ["asm2.example, 10.9.9.9", "not for 127.0.0.1", "--host 127.0.0.1"] {
                    #expect(reason.contains(word), Comment(rawValue: reason))
                }
                #expect(!pool.isServing)
            }
        }
    }

    @Test(
        "a server that is named is believed for that name only, whatever its address", .timeLimit(.minutes(1))
    )
    func nameAndAddress() async throws {
        try await withSecured(hosts: ["127.0.0.1"]) { secured in
            let web = try secured.certificates.issue("web1", role: .web)
            let named = BindAddress(host: "localhost", port: secured.address.port)
            try await withPool(at: named, web) { pool, log in
                let line = try await log.line("ASM Service cannot be reached")
                let reason = line?.facts["link.reason"] ?? ""
                #expect(reason.contains("not for localhost"), Comment(rawValue: reason))
                #expect(!pool.isServing)
            }
        }
    }

    @Test(
        "who has a Web Service's certificate cannot pose as a server, nor can TLS 1.2 be forced on us",
        .timeLimit(.minutes(1)), arguments: [CertificateWish.Role.web, .service])
    func impostor(role: CertificateWish.Role) async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let shown = try certificates.issue("shown", role: role)
            let (old, words) =
                role == .web
                ? ([], "CN=shown is not for use as a server")
                : (["-tls1_2"], "no version of TLS that is allowed")
            let server = try OpenSSL.Server(certificate: shown.certificate, key: shown.key, old)
            defer { server.end() }

            try await withPool(
                at: BindAddress(host: "127.0.0.1", port: server.port),
                try certificates.issue("web2", role: .web)
            ) { pool, log in
                let end = ContinuousClock.now + .seconds(15)
                var said = ""
                while !said.contains(words), ContinuousClock.now < end {
                    said = log.lines.compactMap { $0.facts["link.reason"] }.joined(separator: "\n")
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(said.contains(words), Comment(rawValue: said))
                #expect(!pool.isServing)
            }
        }
    }

    @Test("each end says so when only one of the two has certificates", .timeLimit(.minutes(1)))
    func onlyOneEnd() async throws {
        try await withSecured { secured in
            try await withPool(at: secured.address, nil) { _, log in
                let line = try await log.line("ASM Service cannot be reached")
                // The server's alert may come, or be lost with its connection.
                let reason = line?.facts["link.reason"] ?? ""
                #expect(
                    reason.contains("the peer speaks TLS, and this end has no certificate")
                        || reason.contains("only one of the two"), "\(reason)")
            }
            #expect(try await secured.refusal().contains("does not speak TLS"))

            let log = RecordedLog()
            let plain = LinkServer(
                address: BindAddress(host: "127.0.0.1", port: 0), name: "plain", software: "1.0",
                service: TestService(), group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
            let address = BindAddress(host: "127.0.0.1", port: try await plain.start())
            try await withPool(at: address, try secured.certificates.issue("web1", role: .web)) { _, own in
                let line = try await own.line("ASM Service cannot be reached")
                #expect(line?.facts["link.reason"]?.contains("during the TLS handshake") == true)
            }
            let line = try await log.line("Link connection closed by us")
            #expect(line?.facts["link.reason"]?.contains("the peer speaks TLS") == true)
            await plain.closeAtOnce()
        }
    }
}
