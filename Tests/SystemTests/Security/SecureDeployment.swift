import Foundation
import TestSupport
import TransportSecurity

@testable import SystemSupport

/// ASM Services and Web Services as processes, with mutual TLS between them and HTTPS in front, as in a hospital.
final class SecureDeployment: Sendable {
    let certificates: TestCertificates
    let postgres: PostgresServer
    let databaseURL: String
    let passwordFile: String
    let services: [Server]
    let webServers: [Server]

    /// The names of all certificates that its processes have.
    static let names = ["asm1", "asm2", "web1", "web2", "site"]

    var webs: [Web] {
        webServers.map { Web(port: $0.port, authority: certificates.authorityFile) }
    }

    /// - Parameter days: how long the certificates are valid.
    /// - Parameter environment: of all its processes.
    init(
        in folder: String, services serviceCount: Int = 2, webs webCount: Int = 1, users: Int, days: Int = 90,
        environment: [String: String] = [:]
    ) async throws {
        certificates = try TestCertificates(in: folder)
        for name in Self.names { try Self.issue(name, from: certificates, days: days) }
        postgres = try PostgresServer.shared()
        databaseURL = try await postgres.createDatabase()
        passwordFile = folder + "/password"
        try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
        try await Deployment.addUsers(users, to: databaseURL, passwordFile: passwordFile)
        var services: [Server] = []
        for number in 1...serviceCount {
            services.append(
                try await Server(
                    ["service", "--database", databaseURL] + Self.link("asm\(number)", certificates),
                    environment: environment))
        }
        self.services = services
        let list = services.map(\.address).joined(separator: ",")
        let site = certificates.folder + "/site"
        var webs: [Server] = []
        for number in 1...webCount {
            webs.append(
                try await Server(
                    [
                        "web-service", "--server", list, "--certificate", site + ".pem", "--key",
                        site + ".key",
                        "--log-level", "info",
                    ] + Self.link("web\(number)", certificates), environment: environment))
        }
        webServers = webs
        for web in self.webs { try await Deployment.untilReady(web, servers: serviceCount) }
    }

    /// Issues a certificate of the deployment; it is put in the place of an earlier one.
    static func issue(_ name: String, from certificates: TestCertificates, days: Int = 90) throws {
        let role: CertificateWish.Role =
            name == "site" ? .https : name.hasPrefix("web") ? .web : .service
        try certificates.issue(name, role: role, days: days)
    }

    static func link(_ name: String, _ certificates: TestCertificates) -> [String] {
        let path = certificates.folder + "/" + name
        return [
            "--link-certificate", path + ".pem", "--link-key", path + ".key", "--link-ca",
            certificates.authorityFile,
        ]
    }

    func person(_ number: Int, at web: Int) async throws -> Person {
        let person = Person(
            try await webs[web].logIn("user\(number)", password: Deployment.password))
        try await person.connect(to: webs[web])
        return person
    }

    /// What all servers said last.
    var report: String { (services + webServers).map(\.current.tail).joined(separator: "\n") }
}
