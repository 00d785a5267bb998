import Domain
import HTTPTypes
import NIOHTTP1

/// Why a request is answered before anything looks at what it asks for.
struct Misfit: Error {
    let refusal: Refusal
    let status: HTTPResponseStatus

    init(_ refusal: Refusal, _ status: HTTPResponseStatus? = nil) {
        self.refusal = refusal
        self.status = status ?? HTTPResponseStatus(statusCode: refusal.code.httpStatus)
    }
}

extension HTTPRequestHead {
    /// Checks what RFC 9112 demands of every request, and brings its target into the form `/path?query`.
    mutating func check() throws(Misfit) {
        let hosts = headers["Host"]
        guard hosts.count == 1 || hosts.isEmpty && version.minor < 1 else {
            throw Misfit(
                Refusal(.badRequest, "A request must have one `Host` field (RFC 9112, section 3.2)."))
        }
        let host = hosts.first ?? ""
        guard host.isEmpty || Authority(host) != nil else {
            throw Misfit(Refusal(.badRequest, "`Host` is no name or address with or without a port."))
        }
        for scheme in ["http://", "https://"] where uri.lowercased().hasPrefix(scheme) {
            let rest = uri.dropFirst(scheme.count)
            guard Authority(String(rest.prefix { $0 != "/" && $0 != "?" })) != nil else { break }
            let target = rest.drop { $0 != "/" && $0 != "?" }
            uri = target.first == "/" ? String(target) : "/\(target)"
            break
        }
        if version.minor >= 1, !headers[canonicalForm: "Expect"].isEmpty, !expectsContinue {
            throw Misfit(
                Refusal(.badRequest, "Of what a client may expect, only `100-continue` is known."),
                .expectationFailed)
        }
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    var expectsContinue: Bool {
        guard version.minor >= 1 else { return false }
        let expected = headers[canonicalForm: "Expect"]
        return !expected.isEmpty && expected.allSatisfy { $0.lowercased() == "100-continue" }
    }

    var asksForWebSocket: Bool {
        hasConnectionOption("upgrade")
            && headers[canonicalForm: "Upgrade"].contains { $0.lowercased() == "websocket" }
    }

    /// Whether the client says that this is its last request (RFC 9112, section 9.3); options are in any case (RFC 9110, 7.6.1).
    /// What speaks HTTP/1.0 is not kept, even if it asks to be.
    var endsConnection: Bool { hasConnectionOption("close") || version.major == 1 && version.minor < 1 }

    func hasConnectionOption(_ option: String) -> Bool {
        headers[canonicalForm: "Connection"].contains { $0.lowercased() == option }
    }

    /// How large the body may be.
    /// - Throws: `too-large` when it is said to be larger.
    func bodyLimit(_ limits: WebServiceLimits) throws(Misfit) -> Int {
        let path = uri.prefix { $0 != "?" }
        let limit =
            if ServiceAPI.sendMessage.method.rawValue == method.rawValue, ServiceAPI.sendMessage.matches(path)
            {
                limits.sendBodyBytes
            } else { limits.bodyBytes }
        let isLogIn = path == ServiceAPI.logIn.path
        let allowed = isLogIn || !hasToken ? min(limit, limits.anonymousBodyBytes) : limit
        if let declared = headers.first(name: "Content-Length").flatMap({ Int($0) }), declared > allowed {
            throw Misfit(Refusal.bodyTooLarge(allowed))
        }
        return allowed
    }

    /// Whether it carries what looks like a session's token.
    private var hasToken: Bool {
        guard let field = headers.first(name: "Authorization") else { return false }
        return SessionToken(authorization: field) != nil
    }
}

extension Refusal {
    static func bodyTooLarge(_ limit: Int) -> Refusal {
        Refusal(.tooLarge, "The body of this request may have \(limit) bytes at most.")
    }
}
