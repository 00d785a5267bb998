import CCurl

/// What became of a try, as libcurl and the server's last reply tell it.
struct MailOutcome {
    let code: CURLcode
    /// The last reply's code; 0 when there was none.
    let replyCode: Int
    /// Whether the whole mail was handed over.
    let isComplete: Bool
    let words: String

    /// What can be done about it.
    var kind: MailError.Kind {
        if Self.settings.contains(code.rawValue) { return .configuration }
        guard
            code == CURLE_SEND_ERROR || code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_LOGIN_DENIED
                || code == CURLE_REMOTE_ACCESS_DENIED || code == CURLE_UPLOAD_FAILED
        else { return .temporary }
        guard replyCode >= 500 else {
            return code == CURLE_LOGIN_DENIED && replyCode < 400 ? .configuration : .temporary
        }
        // Authentication wanted or failed, or encryption wanted.
        if (530...538).contains(replyCode) || code == CURLE_LOGIN_DENIED { return .configuration }
        // The sender or this machine is refused: another From or a permission helps.
        if words.hasPrefix("MAIL failed") || code == CURLE_REMOTE_ACCESS_DENIED { return .configuration }
        if words.hasPrefix("RCPT failed") || words.hasPrefix("DATA failed") || isComplete {
            return .permanent
        }
        // A server that greets with 5xx takes no mail from anybody at the moment.
        return .temporary
    }

    /// Failures that stay until a setting changes: kinds of TLS, certificates, names.
    private static let settings: Set<UInt32> = Set(
        [
            CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_PEER_FAILED_VERIFICATION, CURLE_USE_SSL_FAILED, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_INVALIDCERTSTATUS,
        ].map(\.rawValue))
}
