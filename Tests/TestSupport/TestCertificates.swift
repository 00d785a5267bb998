package import Foundation
package import TransportSecurity

/// Certificates of an authority that a test has made, as files in its folder.
package struct TestCertificates: Sendable {
    package let folder: String
    package let authority: CertificateAuthority
    package var authorityFile: String { "\(folder)/ca.pem" }

    /// Makes an authority in a subfolder.
    package init(in parent: String, named name: String = "ca", now: Date = Date()) throws {
        folder = "\(parent)/\(name)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let key: String
        (authority, key) = try CertificateAuthority.make(named: "Authority \(name)", now: now)
        try SecurityFile.write(authority.certificatePEM, to: "\(folder)/ca.pem", isSecret: false)
        try SecurityFile.write(key, to: "\(folder)/ca.key", isSecret: true)
    }

    /// Issues a certificate for loopback, and gives where its files are; an earlier one of this name goes.
    @discardableResult
    package func issue(
        _ name: String, role: CertificateWish.Role = .service, hosts: [String] = ["127.0.0.1", "localhost"],
        days: Int = 90, now: Date = Date(), trusting trusted: String? = nil
    ) throws -> SecurityFiles.Paths {
        let wish = try CertificateWish(name: name, hosts: hosts, role: role, days: days)
        let issued = try authority.issue(wish, now: now)
        let path = "\(folder)/\(name)"
        try SecurityFile.write(issued.keyPEM, to: "\(path).key", isSecret: true, replaces: true)
        try SecurityFile.write(issued.certificatePEM, to: "\(path).pem", isSecret: false, replaces: true)
        return SecurityFiles.Paths(
            certificate: "\(path).pem", key: "\(path).key", authorities: trusted ?? authorityFile)
    }
}
