import Foundation
import NIOSSL
import SwiftASN1
import X509

/// A process's own certificate with its chain and its private key, checked to fit each other.
struct Identity: Sendable {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    let details: CertificateDetails

    /// - Parameter purpose: what the certificate must be for.
    init(
        certificate: (text: String, file: String), key: (text: String, file: String),
        for purpose: SecurityFiles.Purpose, now: Date
    ) throws(SecurityFileError) {
        let ders = try SecurityFile.certificates(in: certificate.text, of: certificate.file)
        let leaf: Certificate
        do {
            leaf = try Certificate(derEncoded: ders[0])
            details = try CertificateDetails(leaf, der: ders[0])
            chain = try ders.map { try NIOSSLCertificate(bytes: $0, format: .der) }
        } catch {
            throw .damagedCertificate(file: certificate.file)
        }
        try details.check(certificate.file, now: now)
        if details.uses == [.authority] {
            throw .authorityInstead(file: certificate.file, subject: details.subject)
        }
        for use in purpose.uses where !details.uses.contains(use) {
            throw .notForUse(file: certificate.file, subject: details.subject, use: use.rawValue)
        }
        if !purpose.roles.isEmpty, details.roles.isDisjoint(with: purpose.roles) {
            throw .otherRole(
                file: certificate.file, subject: details.subject, roles: details.roles.text,
                wanted: purpose.roles.text)
        }
        let privateKey = try SecurityFile.privateKey(in: key.text, of: key.file)
        guard privateKey.publicKey == leaf.publicKey else {
            throw .otherKey(file: key.file, certificate: certificate.file)
        }
        do {
            self.key = try NIOSSLPrivateKey(bytes: Array(key.text.utf8), format: .pem)
        } catch {
            throw .damagedKey(file: key.file)
        }
    }
}

/// The authorities that a process trusts: exactly those of a file.
struct Authorities: Sendable {
    let trusted: [NIOSSLCertificate]
    let certificates: [Certificate]
    let details: [CertificateDetails]

    init(text: String, file: String, now: Date) throws(SecurityFileError) {
        let ders = try SecurityFile.certificates(in: text, of: file)
        do {
            certificates = try ders.map { try Certificate(derEncoded: $0) }
            details = try zip(certificates, ders).map { try CertificateDetails($0, der: $1) }
            trusted = try ders.map { try NIOSSLCertificate(bytes: $0, format: .der) }
        } catch {
            throw .damagedCertificate(file: file)
        }
        for authority in details where authority.uses != [.authority] {
            throw .notAuthority(file: file, subject: authority.subject)
        }
        // While authorities change, an old one may be left in the file; one that is valid must be there.
        if let first = details.first, !details.contains(where: { $0.notAfter > now }) {
            throw .expired(file: file, subject: first.subject, since: first.notAfter)
        }
    }
}

extension CertificateDetails {
    fileprivate func check(_ file: String, now: Date) throws(SecurityFileError) {
        guard notAfter > now else { throw .expired(file: file, subject: subject, since: notAfter) }
        guard notBefore <= now else { throw .notYetValid(file: file, subject: subject, until: notBefore) }
    }
}
