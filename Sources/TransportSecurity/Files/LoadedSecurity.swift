import Foundation
import NIOCore
import NIOSSL

/// What the files of one purpose held at one time, ready for connections.
struct LoadedSecurity: Sendable {
    let identity: Identity
    let authorities: Authorities?
    /// For connections that come in.
    let server: NIOSSLContext
    /// For connections that this process makes; nil where it makes none.
    let client: NIOSSLContext?

    init(
        _ files: SecurityFiles.Paths, texts: SecurityFiles.Texts, purpose: SecurityFiles.Purpose, now: Date
    ) throws(SecurityFileError) {
        identity = try Identity(
            certificate: (texts.certificate, files.certificate), key: (texts.key, files.key),
            for: purpose, now: now)
        if let file = files.authorities {
            authorities = try Authorities(text: texts.authorities ?? "", file: file, now: now)
        } else {
            authorities = nil
        }
        do {
            server = try NIOSSLContext(
                configuration: purpose == .web
                    ? .webServer(identity) : .linkServer(identity, trusting: authorities?.trusted ?? []))
            client =
                purpose == .web
                ? nil
                : try NIOSSLContext(
                    configuration: .linkClient(identity, trusting: authorities?.trusted ?? []))
        } catch {
            throw .refusedByTLS(file: files.certificate, reason: "\(error)")
        }
    }
}

extension TLSConfiguration {
    /// How long a connection that is closed waits for the other end to say that it heard it.
    private static let closeWithin = Int64(2)
    /// Key agreement, the first also against those who record now and have a quantum computer later.
    private static let agreements: [NIOTLSCurve] = [.x25519_MLKEM768, .x25519, .secp256r1, .secp384r1]
    /// For TLS 1.2: one for each kind of key, with forward secrecy and authenticated encryption, that every client of
    /// TLS 1.2 has. NIOSSL lets the client choose among several; with one there is nothing to choose.
    private static let suites: [NIOTLSCipher] = [
        .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ]

    /// What apps and browsers connect to: TLS 1.2 and 1.3.
    fileprivate static func webServer(_ identity: Identity) -> TLSConfiguration {
        var configuration = makeServerConfiguration(
            certificateChain: identity.chain.map { .certificate($0) }, privateKey: .privateKey(identity.key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuiteValues = suites
        configuration.curves = agreements
        configuration.shutdownTimeout = .seconds(closeWithin)
        return configuration
    }

    /// The accepting end of the service link: TLS 1.3, and only peers of the same authority.
    fileprivate static func linkServer(
        _ identity: Identity, trusting authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = makeServerConfigurationWithMTLS(
            certificateChain: identity.chain.map { .certificate($0) }, privateKey: .privateKey(identity.key),
            trustRoots: .certificates(authorities))
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = agreements
        configuration.shutdownTimeout = .seconds(closeWithin)
        return configuration
    }

    /// The calling end of the service link: the system's authorities are not trusted, only the cluster's own.
    fileprivate static func linkClient(
        _ identity: Identity, trusting authorities: [NIOSSLCertificate]
    ) -> TLSConfiguration {
        var configuration = makeClientConfiguration()
        configuration.certificateChain = identity.chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(identity.key)
        configuration.trustRoots = .certificates(authorities)
        configuration.certificateVerification = .fullVerification
        configuration.minimumTLSVersion = .tlsv13
        configuration.curves = agreements
        configuration.shutdownTimeout = .seconds(closeWithin)
        return configuration
    }
}
