import Foundation
import NIOPosix
import ServiceLink
import TestSupport
import Testing

@testable import TransportSecurity

@Suite("Roles in certificates of the service link", .timeLimit(.minutes(1)))
struct LinkRoleTests {
    /// Signs as somebody with the authority's key and other tools does.
    private static func sign(
        _ name: String, uses: String?, role: String? = nil, by certificates: TestCertificates
    ) async throws -> SecurityFiles.Paths {
        let path = "\(certificates.folder)/\(name)"
        let names = "IP:127.0.0.1,DNS:localhost" + (role.map { ",URI:\($0)" } ?? "")
        var extensions = "basicConstraints=critical,CA:FALSE\nsubjectAltName=\(names)\n"
        if let uses { extensions += "extendedKeyUsage=\(uses)\n" }
        try extensions.write(toFile: path + ".ext", atomically: true, encoding: .utf8)
        for arguments in [
            [
                "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=\(name)", "-keyout", path + ".key", "-out", path + ".csr",
            ],
            [
                "x509", "-req", "-in", path + ".csr", "-CA", certificates.authorityFile, "-CAkey",
                certificates.folder + "/ca.key", "-days", "30", "-extfile", path + ".ext", "-out",
                path + ".pem",
            ],
        ] {
            let ended = try await OpenSSL.run(arguments)
            try #require(ended.status == 0, Comment(rawValue: ended.text))
        }
        return SecurityFiles.Paths(
            certificate: path + ".pem", key: path + ".key", authorities: certificates.authorityFile)
    }

    private static func serve(_ paths: SecurityFiles.Paths, log: RecordedLog) async throws -> LinkServer {
        let server = LinkServer(
            address: BindAddress(host: "127.0.0.1", port: 0), name: "server", software: "1.0",
            service: TestService(), security: try SecurityFiles(paths, for: .linkServer, logger: log.logger),
            group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
        try await server.start()
        return server
    }

    private static func pool(_ port: Int, _ paths: SecurityFiles.Paths, log: RecordedLog) throws -> LinkPool {
        let pool = LinkPool(
            servers: try ServerList([BindAddress(host: "127.0.0.1", port: port)]), name: "web",
            software: "1.0",
            limits: hastyLimits(), security: try SecurityFiles(paths, for: .linkClient, logger: log.logger),
            events: TestEvents(), group: MultiThreadedEventLoopGroup.singleton, logger: log.logger)
        pool.start()
        return pool
    }

    /// Whose certificate the one who poses as an ASM Service shows.
    enum Impostor: String, CaseIterable, Sendable {
        case site, siteFromBefore, siteForBothUses, withoutUses, unknownRole

        fileprivate func paths(_ certificates: TestCertificates) async throws -> SecurityFiles.Paths {
            switch self {
            case .site: try certificates.issue(rawValue, role: .https)
            case .siteFromBefore: try await sign(rawValue, uses: "serverAuth", by: certificates)
            case .siteForBothUses:
                try await sign(
                    rawValue, uses: "serverAuth,clientAuth", role: "urn:asm:role:https", by: certificates)
            case .withoutUses: try await sign(rawValue, uses: nil, by: certificates)
            case .unknownRole:
                try await sign(
                    rawValue, uses: "serverAuth,clientAuth", role: "urn:asm:role:other", by: certificates)
            }
        }
    }

    @Test("nobody is an ASM Service whose certificate is for something else", arguments: Impostor.allCases)
    func impostor(_ impostor: Impostor) async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let shown = try await impostor.paths(certificates)
            let server = try OpenSSL.Server(certificate: shown.certificate, key: shown.key)
            defer { server.end() }
            let log = RecordedLog()
            let pool = try Self.pool(server.port, certificates.issue("web1", role: .web), log: log)

            let end = ContinuousClock.now + .seconds(15)
            var said = ""
            while !said.contains("not for service"), ContinuousClock.now < end {
                said = log.lines.compactMap { $0.facts["link.reason"] }.joined(separator: "\n")
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(
                said.contains("its certificate CN=\(impostor.rawValue) is for the role"),
                Comment(rawValue: said))
            #expect(said.contains("--role service"), Comment(rawValue: said))
            #expect(!log.lines.contains { $0.message == "ASM Service is healthy" })
            await pool.stop()

            let error = #expect(throws: SecurityFileError.self) {
                try SecurityFiles(shown, for: .linkServer, logger: log.logger)
            }
            #expect(error?.description.contains("here one for service is needed") == true)
        }
    }

    @Test("an ASM Service takes no certificate for browsers from who calls, whatever else it may be used for")
    func caller() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let log = RecordedLog()
            let server = try await Self.serve(certificates.issue("server"), log: log)
            let site = try await Self.sign(
                "site", uses: "serverAuth,clientAuth", role: "urn:asm:role:https", by: certificates)

            _ = try await OpenSSL.connect(
                to: server.boundPort ?? 0,
                ["-CAfile", certificates.authorityFile, "-cert", site.certificate, "-key", site.key])

            let line = try await log.line("Link connection refused")
            let reason = line?.facts["link.reason"] ?? ""
            #expect(reason.contains("its certificate CN=site is for the role https, not for"), "\(reason)")
            #expect(!log.lines.contains { $0.message == "Link connection opened" })
            await server.closeAtOnce()
        }
    }

    @Test("certificates from before roles were named go on, at both ends, and with new ones at the other")
    func before() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let services = [
                try await Self.sign("old-service", uses: "serverAuth,clientAuth", by: certificates),
                try certificates.issue("new-service"),
            ]
            let callers = [
                try await Self.sign("old-web", uses: "clientAuth", by: certificates),
                try certificates.issue("new-web", role: .web),
                try certificates.issue("new-admin", role: .admin),
                services[0], services[1],
            ]
            for service in services {
                let log = RecordedLog()
                let server = try await Self.serve(service, log: log)
                for caller in callers {
                    let pool = try Self.pool(server.boundPort ?? 0, caller, log: log)
                    let answer = try await pool.echo(caller.certificate)
                    #expect(answer == caller.certificate)
                    await pool.stop()
                }
                await server.closeAtOnce()
            }
        }
    }

    @Test("each role is in the certificate that is issued for it", arguments: CertificateRole.allCases)
    func issued(role: CertificateRole) throws {
        let (authority, _) = try CertificateAuthority.make(named: "Test")
        let issued = try authority.issue(try CertificateWish(name: "a", hosts: ["a.example"], role: role))

        #expect(issued.details.roles == [role])
        #expect(issued.details.names == ["a.example"])
        #expect(authority.details.roles.isEmpty)
    }
}
