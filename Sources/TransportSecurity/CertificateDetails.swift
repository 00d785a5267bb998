import Crypto
package import Foundation
import SwiftASN1
import X509

/// What a certificate says, for people and for checks.
package struct CertificateDetails: Hashable, Sendable {
    package enum Use: String, Hashable, Sendable, CaseIterable {
        case server, client, authority
    }

    package let subject: String
    package let issuer: String
    /// The host names and addresses it is for.
    package let names: [String]
    package let uses: [Use]
    /// What its holder may be on the service link.
    package let roles: Set<CertificateRole>
    package let notBefore: Date
    package let notAfter: Date
    /// SHA-256 over the whole certificate, in lower-case hexadecimal.
    package let fingerprint: String

    /// - Throws: when the bytes are no certificate.
    package init(der: [UInt8]) throws {
        try self.init(try Certificate(derEncoded: der), der: der)
    }

    init(_ certificate: Certificate, der: [UInt8]) throws {
        subject = "\(certificate.subject)"
        issuer = "\(certificate.issuer)"
        notBefore = certificate.notValidBefore
        notAfter = certificate.notValidAfter
        fingerprint = SHA256.hash(data: der).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        let alternatives = try certificate.extensions.subjectAlternativeNames
        names =
            alternatives?.compactMap { name in
                switch name {
                case .dnsName(let name): name
                case .ipAddress(let address): IPAddress(bytes: Array(address.bytes))?.text
                default: nil
                }
            } ?? []
        let links = alternatives?.compactMap { name in
            if case .uniformResourceIdentifier(let link) = name { link } else { nil }
        }
        if case .isCertificateAuthority = try certificate.extensions.basicConstraints {
            (uses, roles) = ([.authority], [])
        } else if let usage = try certificate.extensions.extendedKeyUsage {
            let pairs: [(Use, ExtendedKeyUsage.Usage)] = [(.server, .serverAuth), (.client, .clientAuth)]
            uses = pairs.filter { usage.contains($0.1) || usage.contains(.any) }.map(\.0)
            roles = CertificateRole.named(by: links ?? [], uses: uses)
        } else {
            // A certificate that names no use is for any; a role has to be named.
            uses = [.server, .client]
            roles = CertificateRole.named(by: links ?? [], uses: nil)
        }
    }

    /// The details of every certificate of a PEM file, in the file's order.
    package static func all(in file: String) throws(SecurityFileError) -> [CertificateDetails] {
        var all: [CertificateDetails] = []
        for der in try SecurityFile.certificates(in: try SecurityFile.read(file), of: file) {
            do { all.append(try CertificateDetails(der: der)) } catch {
                throw .damagedCertificate(file: file)
            }
        }
        return all
    }

    /// Whole days until it expires; negative afterwards.
    package func daysLeft(at now: Date) -> Int {
        Int((notAfter.timeIntervalSince(now) / 86_400).rounded(.down))
    }

    /// Whether a client that asks for this host accepts the certificate's names.
    package func isFor(_ host: String) -> Bool {
        var wanted = IPAddress(host)?.text ?? host.lowercased()
        // The dot of a name that is complete is not in certificates.
        if wanted.last == "." { wanted.removeLast() }
        return names.contains { name in
            let name = name.lowercased()
            if name == wanted { return true }
            guard name.hasPrefix("*."), let dot = wanted.firstIndex(of: ".") else { return false }
            return wanted[dot...] == name.dropFirst()
        }
    }

    /// The fingerprint in the form of `openssl x509 -fingerprint -sha256`.
    package var colonFingerprint: String {
        let characters = Array(fingerprint.uppercased())
        return stride(from: 0, to: characters.count - 1, by: 2)
            .map { String(characters[$0...($0 + 1)]) }.joined(separator: ":")
    }
}
