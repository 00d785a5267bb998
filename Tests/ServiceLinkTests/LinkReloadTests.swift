import Foundation
import NIOPosix
import ServiceLink
import TestSupport
import Testing
import TransportSecurity

@Suite("Certificates of the service link that change")
struct LinkReloadTests {
    @Test("the whole cluster moves to another authority, one end after the other", .timeLimit(.minutes(1)))
    func anotherAuthority() async throws {
        try await withTemporaryFolder { folder in
            let (old, new) = (
                try TestCertificates(in: folder, named: "old"), try TestCertificates(in: folder, named: "new")
            )
            let trusted = folder + "/ca.pem"
            func trust(_ authorities: [TestCertificates]) throws {
                let text = authorities.map(\.authority.certificatePEM).joined()
                try SecurityFile.write(text, to: trusted, isSecret: false, replaces: true)
            }
            try trust([old])
            let log = RecordedLog()
            let server = try SecurityFiles(
                try old.issue("server", trusting: trusted), for: .linkServer, logger: log.logger)
            let web = try SecurityFiles(
                try old.issue("web", role: .web, trusting: trusted), for: .linkClient, logger: log.logger)
            let link = LinkServer(
                address: BindAddress(host: "127.0.0.1", port: 0), name: "server", software: "1.0",
                service: TestService(), security: server, group: MultiThreadedEventLoopGroup.singleton,
                logger: log.logger)
            let address = BindAddress(host: "127.0.0.1", port: try await link.start())
            func expectAnswer() async throws {
                let pool = LinkPool(
                    servers: try ServerList([address]), name: "web", software: "1.0", security: web,
                    events: TestEvents(), group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
                pool.start()
                #expect(try await pool.echo("hello", deadline: .seconds(5)) == "hello")
                await pool.stop()
            }

            try await expectAnswer()
            try trust([old, new])
            for files in [server, web] { files.look() }
            try await expectAnswer()
            try Self.move(from: new, "server", .service, to: server.paths)
            server.look()
            try await expectAnswer()
            try Self.move(from: new, "web", .web, to: web.paths)
            web.look()
            try await expectAnswer()
            try trust([new])
            for files in [server, web] { files.look() }
            try await expectAnswer()

            #expect(server.certificate.issuer == "CN=Authority new")
            // What the old authority vouches for is refused now.
            let stale = try old.issue("stale", role: .web)
            _ = try await OpenSSL.connect(
                to: address.port,
                ["-CAfile", trusted, "-cert", stale.certificate, "-key", stale.key])
            let line = try await log.line("Link connection refused")
            #expect(line?.facts["link.reason"]?.contains("Authority old") == true)
            await link.closeAtOnce()
        }
    }

    private static func move(
        from authority: TestCertificates, _ name: String, _ role: CertificateWish.Role,
        to paths: SecurityFiles.Paths
    ) throws {
        let issued = try authority.issue(name, role: role)
        for (source, target) in [(issued.key, paths.key), (issued.certificate, paths.certificate)] {
            let text = try String(contentsOfFile: source, encoding: .utf8)
            try SecurityFile.write(text, to: target, isSecret: true, replaces: true)
        }
    }
}
