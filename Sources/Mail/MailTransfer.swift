import CCurl
import Domain
import Synchronization

/// One try to hand one mail to one server, by libcurl, on the thread that calls.
final class MailTransfer: Sendable {
    /// What the server may have said last; older lines are forgotten.
    private static let keptReplies = 32

    private struct State {
        var text: [UInt8]
        var sent = 0
        var replies: [String] = []
        var isCancelled = false
    }

    private let server: MailServer
    private let from: String
    private let to: [String]
    private let limits: MailLimits
    private let state: Mutex<State>

    init(_ text: [UInt8], from: String, to: [String], through server: MailServer, limits: MailLimits) {
        self.server = server
        self.from = from
        self.to = to
        self.limits = limits
        state = Mutex(State(text: text))
    }

    /// Ends the try soon, unless the server has the whole mail already: then its answer is waited for.
    func cancel() { state.withLock { $0.isCancelled = true } }

    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    func perform() throws {
        guard Self.isReady, let curl = curl_easy_init() else {
            throw MailError(.temporary, "The mail library (libcurl) does not start.")
        }
        // A closing connection still calls back, so `self` and the buffer must outlive it.
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        var recipients: UnsafeMutablePointer<curl_slist>?
        defer {
            withExtendedLifetime(self) { curl_easy_cleanup(curl) }
            curl_slist_free_all(recipients)
            message.deallocate()
        }
        for address in to { recipients = curl_slist_append(recipients, "<\(address)>") }
        asm_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, message)
        asm_curl_set_pointer(curl, CURLOPT_MAIL_RCPT, recipients)
        configure(curl)
        let outcome = curl_easy_perform(curl)
        let words = String(cString: message)
        let code = asm_curl_response_code(curl)
        guard outcome != CURLE_OK else { return }
        try fail(outcome, replyCode: code, words: words.isEmpty ? Self.text(of: outcome) : words)
    }

    private func configure(_ curl: UnsafeMutableRawPointer) {
        asm_curl_set_text(curl, CURLOPT_URL, server.url)
        asm_curl_set_text(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        // Neither the environment's proxy nor anybody's .netrc decides where mail and password go.
        asm_curl_set_text(curl, CURLOPT_PROXY, "")
        asm_curl_set_long(curl, CURLOPT_NETRC, 0)
        asm_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        asm_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT_MS, limits.connectWithin.milliseconds)
        asm_curl_set_long(curl, CURLOPT_TIMEOUT_MS, limits.tryWithin.milliseconds)
        let encryption = server.security == .plain ? CURLUSESSL_NONE : CURLUSESSL_ALL
        asm_curl_set_long(curl, CURLOPT_USE_SSL, Int(encryption.rawValue))
        asm_curl_set_long(curl, CURLOPT_SSLVERSION, 6)  // CURL_SSLVERSION_TLSv1_2: that or newer
        asm_curl_set_long(curl, CURLOPT_SSL_VERIFYPEER, 1)
        asm_curl_set_long(curl, CURLOPT_SSL_VERIFYHOST, 2)
        if let authorities = server.authorities { asm_curl_set_text(curl, CURLOPT_CAINFO, authorities) }
        if let login = server.login {
            asm_curl_set_text(curl, CURLOPT_USERNAME, login)
            asm_curl_set_text(curl, CURLOPT_PASSWORD, server.password.open)
        }
        asm_curl_set_text(curl, CURLOPT_MAIL_FROM, "<\(from)>")
        asm_curl_set_long(curl, CURLOPT_UPLOAD, 1)
        let context = Unmanaged.passUnretained(self).toOpaque()
        asm_curl_set_pointer(curl, CURLOPT_READDATA, context)
        asm_curl_set_read(curl) { buffer, size, count, context in
            MailTransfer.at(context).read(into: buffer, limit: size * count)
        }
        asm_curl_set_pointer(curl, CURLOPT_HEADERDATA, context)
        asm_curl_set_header(curl) { bytes, size, count, context in
            MailTransfer.at(context).replied(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return size * count
        }
        asm_curl_set_write(curl) { _, size, count, _ in size * count }
        asm_curl_set_pointer(curl, CURLOPT_XFERINFODATA, context)
        asm_curl_set_progress(curl) { context, _, _, _, _ in MailTransfer.at(context).isToStop ? 1 : 0 }
        asm_curl_set_long(curl, CURLOPT_NOPROGRESS, 0)
    }

    /// The transfer that `configure` named as the callbacks' context; libcurl hands back nothing else.
    private static func at(_ context: UnsafeMutableRawPointer?) -> MailTransfer {
        Unmanaged<MailTransfer>.fromOpaque(context.unsafelyUnwrapped).takeUnretainedValue()
    }
}

// MARK: - What libcurl asks and tells

extension MailTransfer {
    private var isToStop: Bool { state.withLock { $0.isCancelled && $0.sent < $0.text.count } }

    private func read(into buffer: UnsafeMutablePointer<CChar>?, limit: Int) -> Int {
        guard let buffer else { return 0 }
        return state.withLock { state in
            let count = min(limit, state.text.count - state.sent)
            state.text.withUnsafeBytes { text in
                UnsafeMutableRawPointer(buffer).copyMemory(
                    from: text.baseAddress.unsafelyUnwrapped + state.sent, byteCount: count)
            }
            state.sent += count
            return count
        }
    }

    private func replied(_ line: UnsafeRawBufferPointer) {
        let text = String(decoding: line, as: UTF8.self)
        state.withLock { state in
            if state.replies.count >= Self.keptReplies { state.replies.removeFirst() }
            state.replies.append(text)
        }
    }

    /// Throws what went wrong, with the server's last words of refusal where it said any.
    private func fail(_ outcome: CURLcode, replyCode: Int, words: String) throws {
        let (replies, isComplete, isCancelled) = state.withLock {
            ($0.replies, $0.sent == $0.text.count, $0.isCancelled)
        }
        if outcome == CURLE_ABORTED_BY_CALLBACK, isCancelled { throw CancellationError() }
        let refusal = replies.last { ["4", "5"].contains($0.first) && replyCode >= 400 }
        let kind = MailOutcome(
            code: outcome, replyCode: replyCode, isComplete: isComplete, words: words
        ).kind
        throw MailError(kind, refusal.map { "\($0.trimmedLine) (\(words))" } ?? words)
    }

    private static func text(of code: CURLcode) -> String {
        curl_easy_strerror(code).map { String(cString: $0) } ?? "error \(code.rawValue)"
    }
}

extension String {
    fileprivate var trimmedLine: String {
        var text = self[...]
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}

extension Duration {
    var milliseconds: Int { Int(components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000) }
}
