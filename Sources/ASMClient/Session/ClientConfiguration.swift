import Domain
package import NIOSSL

/// How a client reaches its servers, and its limits.
public struct ClientConfiguration: Sendable {
    /// The Web Services, tried in turn; at least one.
    public var addresses: [WebAddress]
    /// A file of certificates (PEM) to trust instead of the system's, for installations with their own
    /// authority.
    public var trustedCertificatesFile: String?
    /// How many messages may wait to be sent; one more is refused with `outbox-full`.
    public var outboxLimit = 1_000
    /// How many messages may be on their way without an answer.
    public var sendWindow = 256
    /// How many events may wait for the app. Beyond it they are dropped together, and `fellBehind` says so.
    public var eventLimit = 10_000
    /// Whether receipts "delivered" are sent by the client itself as entries come.
    public var sendsDelivered = true
    /// After how long a silence the server is asked whether it is there.
    public var silence = Duration.seconds(20)
    /// How long it may take to answer that.
    public var answerTime = Duration.seconds(5)
    /// How often at most the place in the log is saved while messages come in.
    public var saveInterval = Duration.seconds(1)

    /// Hears every frame as it is dealt with, and how connections end: for tools that judge the servers.
    /// With it, the servers are asked to tell the session's route.
    package var observe: (@Sendable (ClientObservation) -> Void)?

    /// How pauses are made between attempts; tests replace it.
    package var pause: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    public init(addresses: [WebAddress]) throws(MessagingError) {
        guard !addresses.isEmpty else { throw MessagingError.unreachable("no address was given") }
        self.addresses = addresses
    }

    /// The settings for TLS. Throws when the file of trusted certificates cannot be read.
    package func tls() throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let trustedCertificatesFile {
            // The library says that it failed, and not why; what can be done is the same.
            let certificates = (try? NIOSSLCertificate.fromPEMFile(trustedCertificatesFile)) ?? []
            guard !certificates.isEmpty else {
                throw MessagingError(
                    .badRequest,
                    "The file of trusted certificates \(trustedCertificatesFile) is not there, cannot be read, or "
                        + "holds no certificate (PEM).")
            }
            tls.trustRoots = .certificates(certificates)
        }
        return tls
    }
}
