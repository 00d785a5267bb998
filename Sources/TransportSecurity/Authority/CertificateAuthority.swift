import Crypto
package import Foundation
import SwiftASN1
import X509

/// The cluster's own certificate authority: makes itself, and issues the certificates of its processes.
package struct CertificateAuthority: Sendable {
    /// How long an authority is valid, and at most.
    package static let defaultDays = 3_650
    /// Clocks of two machines may differ by so much without a new certificate being refused.
    static let clockSkew: TimeInterval = 3_600

    package let certificatePEM: String
    package let details: CertificateDetails
    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Makes a new authority; its key exists here and in the text that is returned, nowhere else.
    package static func make(
        named name: String, validForDays days: Int = defaultDays, now: Date = Date()
    ) throws -> (authority: CertificateAuthority, keyPEM: String) {
        let key = P256.Signing.PrivateKey()
        let signing = Certificate.PrivateKey(key)
        let subject = try DistinguishedName { CommonName(name) }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: signing.publicKey,
            notValidBefore: now - clockSkew, notValidAfter: now + TimeInterval(days) * 86_400,
            issuer: subject, subject: subject,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: signing.publicKey)
            },
            issuerPrivateKey: signing)
        return (try CertificateAuthority(certificate, key: signing), key.pemRepresentation)
    }

    /// Loads an authority from its two files, checked to fit and to be valid.
    package init(certificateFile: String, keyFile: String, now: Date = Date()) throws {
        let text = try SecurityFile.read(certificateFile)
        let ders = try SecurityFile.certificates(in: text, of: certificateFile)
        let key = try SecurityFile.privateKey(in: try SecurityFile.read(keyFile), of: keyFile)
        guard let der = ders.first, let certificate = try? Certificate(derEncoded: der) else {
            throw SecurityFileError.damagedCertificate(file: certificateFile)  // Why is of no use to people.
        }
        guard certificate.publicKey == key.publicKey else {
            throw SecurityFileError.otherKey(file: keyFile, certificate: certificateFile)
        }
        try self.init(certificate, key: key)
        guard details.uses == [.authority] else {
            throw SecurityFileError.notAuthority(file: certificateFile, subject: details.subject)
        }
        guard details.notAfter > now else {
            throw SecurityFileError.expired(
                file: certificateFile, subject: details.subject, since: details.notAfter)
        }
    }

    private init(_ certificate: Certificate, key: Certificate.PrivateKey) throws {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        details = try CertificateDetails(certificate, der: serializer.serializedBytes)
        certificatePEM = try certificate.serializeAsPEM().pemString + "\n"
        self.certificate = certificate
        self.key = key
    }

    /// Issues a certificate with a new key. It ends no later than the authority's own.
    package func issue(_ wish: CertificateWish, now: Date = Date()) throws -> IssuedCertificate {
        let own = P256.Signing.PrivateKey()
        let publicKey = Certificate.PrivateKey(own).publicKey
        let end = min(now + TimeInterval(wish.days) * 86_400, details.notAfter)
        let names =
            wish.hosts.map { host in
                IPAddress(host).map { GeneralName.ipAddress(ASN1OctetString(contentBytes: $0.bytes[...])) }
                    ?? .dnsName(host)
            } + [.uniformResourceIdentifier(wish.role.name)]
        let usages: [ExtendedKeyUsage.Usage] = wish.role.uses.map {
            $0 == .server ? .serverAuth : .clientAuth
        }
        let issued = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: min(now, end) - Self.clockSkew, notValidAfter: end,
            issuer: certificate.subject, subject: try DistinguishedName { CommonName(wish.name) },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(usages)
                SubjectAlternativeNames(names)
                SubjectKeyIdentifier(hash: publicKey)
                AuthorityKeyIdentifier(
                    keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
            },
            issuerPrivateKey: key)
        var serializer = DER.Serializer()
        try serializer.serialize(issued)
        return IssuedCertificate(
            certificatePEM: try issued.serializeAsPEM().pemString + "\n",
            keyPEM: own.pemRepresentation + "\n",
            details: try CertificateDetails(issued, der: serializer.serializedBytes))
    }
}

/// A new certificate and its key, as PEM.
package struct IssuedCertificate: Sendable {
    package let certificatePEM: String
    package let keyPEM: String
    package let details: CertificateDetails
}
