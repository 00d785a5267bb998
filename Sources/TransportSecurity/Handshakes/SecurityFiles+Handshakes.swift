import Foundation
package import NIOCore
import NIOSSL
import SwiftASN1
import X509

extension SecurityFiles {
    /// Buffers that a connection keeps when it has nothing to send: there are many idle ones.
    private static let keptBytes = 1_024

    /// Puts TLS in front of a connection that came in.
    package func secureServer(_ channel: any Channel) throws {
        var configuration = NIOSSLHandler.Configuration()
        configuration.maximumPreservedOutboundBufferCapacity = Self.keptBytes
        try channel.pipeline.syncOperations.addHandler(
            NIOSSLServerHandler(context: loaded.server, configuration: configuration))
        if purpose == .linkServer {
            try channel.pipeline.syncOperations.addHandler(PeerRoleCheck(CertificateRole.callers))
        }
    }

    /// Puts TLS in front of a connection to a host, whose certificate must be for this very host.
    package func secureClient(_ channel: any Channel, to host: String) throws {
        guard let context = loaded.client else { return }
        // An address is compared with that of the connection itself.
        let name = IPAddress(host) == nil ? host : nil
        try channel.pipeline.syncOperations.addHandler(
            NIOSSLClientHandler(context: context, serverHostname: name))
        if let name { try channel.pipeline.syncOperations.addHandler(NamedHostCheck(name)) }
        try channel.pipeline.syncOperations.addHandler(PeerRoleCheck(CertificateRole.servers))
    }

    /// The other end's certificate; nil before the handshake, and where there is none.
    package static func peerCertificate(_ channel: any Channel) -> CertificateDetails? {
        peerDetails(channel)?.0
    }

    /// What an error of a connection means for an operator; nil when it is not about TLS.
    ///
    /// - Parameter host: to which it was made; nil when it came in.
    package func explain(_ error: any Error, on channel: any Channel, to host: String? = nil) -> String? {
        switch error {
        case is NIOSSLExtraError where "\(error)".contains("failedToValidateHostname"):
            return otherHost(on: channel, host: host)
        case is NamedHostCheck.OtherHost: return otherHost(on: channel, host: host)
        case let error as PeerRoleCheck.OtherRole: return otherRole(on: channel, wanted: error.wanted)
        case NIOSSLError.handshakeFailed, is BoringSSLError: break
        case is NIOSSLExtraError: return "TLS failed: \(error)"
        default: return nil
        }
        let text = "\(error)"
        func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if says("CERTIFICATE_VERIFY_FAILED") { return unverified(on: channel, isServer: host != nil) }
        if says("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
            return "it showed no certificate: start it with --link-certificate, --link-key and --link-ca"
        }
        if says("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_RECORD", "UNEXPECTED_MESSAGE") {
            return purpose == .web
                ? "it does not speak TLS here: https:// is needed"
                : "it does not speak TLS: start it with --link-certificate, --link-key and --link-ca"
        }
        if says("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "TLSV1_ALERT_PROTOCOL_VERSION") {
            return "it speaks no version of TLS that is allowed: \(purpose == .web ? "1.2 or 1.3" : "1.3") is"
        }
        if says("NO_SHARED_CIPHER", "NO_COMMON_SIGNATURE_ALGORITHMS", "NO_SHARED_GROUP") {
            return "it offers no encryption that is allowed"
        }
        if says("ALERT") { return refusedHere(text) }
        if says("EOF during handshake") {
            return "it closed the connection during the TLS handshake: does it have a certificate?"
        }
        return "TLS failed: \(text)"
    }

    private func otherHost(on channel: any Channel, host: String?) -> String {
        let names = Self.peerDetails(channel)?.0.names ?? []
        return "its certificate is for \(names.isEmpty ? "no host" : names.joined(separator: ", ")), not for "
            + "\(host ?? "this host"): issue it one with --host \(host ?? "HOST"), or name it so in the Server list"
    }

    private func otherRole(on channel: any Channel, wanted: Set<CertificateRole>) -> String {
        let details = Self.peerDetails(channel)?.0
        return
            "its certificate \(details?.subject ?? "") is for the role \((details?.roles ?? []).text), not for "
            + "\(wanted.text): issue it one with --role \(wanted == CertificateRole.servers ? "service" : "web")"
    }

    /// Why a certificate was not accepted, from what it says.
    private func unverified(on channel: any Channel, isServer: Bool) -> String {
        guard let (details, certificate) = Self.peerDetails(channel) else {
            return "its certificate was not issued by an authority in \(paths.authorities ?? "the CA file")"
        }
        let now = Date()
        let name = "its certificate \(details.subject)"
        if details.notAfter <= now {
            return
                "\(name) expired on \(details.notAfter.utc): issue a new one, or check this machine's clock"
        }
        if details.notBefore > now {
            return "\(name) is valid only from \(details.notBefore.utc) on: check the clocks of both machines"
        }
        let isOurs = loaded.authorities?.certificates.contains { authority in
            authority.subject == certificate.issuer
                && authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        }
        if isOurs != true {
            return "\(name) was issued by \(details.issuer), which is not an authority in "
                + (paths.authorities ?? "the CA file")
        }
        let use: CertificateDetails.Use = isServer ? .server : .client
        if !details.uses.contains(use) {
            return "\(name) is not for use as a \(use.rawValue): issue it one with "
                + "--role \(isServer ? "service" : "web")"
        }
        return "\(name), or that of its authority, is not valid"
    }

    /// The other end refuses us, and says why in one word.
    private func refusedHere(_ text: String) -> String {
        let reasons = [
            ("UNKNOWN_CA", "it was issued by an authority that it does not trust"),
            ("CERTIFICATE_EXPIRED", "it has expired"),
            ("CERTIFICATE_REQUIRED", "it wants one and got none"),
            ("UNSUPPORTED_CERTIFICATE", "it is for another use"),
            ("BAD_CERTIFICATE", "it cannot be accepted"),
            ("CERTIFICATE_UNKNOWN", "it cannot be accepted"),
        ]
        let reason = reasons.first { text.contains($0.0) }?.1
        guard let reason else { return "it ended the TLS handshake: \(text)" }
        return "it refuses our certificate \(certificate.subject): \(reason)"
    }

    static func peerDetails(_ channel: any Channel) -> (CertificateDetails, Certificate)? {
        let pipeline = channel.pipeline.syncOperations
        // Each failing means: not this kind of handler, no certificate yet, or none that can be read.
        let server: NIOSSLHandler? = try? pipeline.handler(type: NIOSSLServerHandler.self)
        let client: NIOSSLHandler? = try? pipeline.handler(type: NIOSSLClientHandler.self)
        guard let der = try? (server ?? client)?.peerCertificate?.toDERBytes(),
            let certificate = try? Certificate(derEncoded: der),
            let details = try? CertificateDetails(certificate, der: der)
        else { return nil }
        return (details, certificate)
    }
}
