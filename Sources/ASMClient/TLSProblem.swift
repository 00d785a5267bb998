import NIOSSL

/// What a failed TLS handshake means for who uses a client.
enum TLSProblem {
    /// Nil when the error is not about TLS.
    static func text(_ error: any Error) -> String? {
        let text = "\(error)"
        switch error {
        case is NIOSSLExtraError where text.contains("failedToValidateHostname"):
            return "its certificate is for another host"
        case NIOSSLError.handshakeFailed where text.contains("CERTIFICATE_VERIFY_FAILED"):
            return
                "its certificate has expired, or is of an authority that is not trusted here (--ca FILE names one)"
        case NIOSSLError.handshakeFailed where text.contains("WRONG_VERSION_NUMBER"):
            return "it does not speak TLS (http://, not https://)"
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: return "TLS failed: \(text)"
        default: return nil
        }
    }
}
