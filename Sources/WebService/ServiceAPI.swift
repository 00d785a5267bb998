import HTTPTypes

/// The addresses of the client API, each written once; docs/client-protocol.md and openapi.json describe them.
enum ServiceAPI {
    struct Operation: Hashable, Sendable {
        let method: HTTPRequest.Method
        /// With parameters in braces, as in the OpenAPI document.
        let path: String

        init(_ method: HTTPRequest.Method, _ path: String) {
            self.method = method
            self.path = path
        }

        /// Whether an address is one of this path's.
        func matches(_ address: some StringProtocol) -> Bool {
            let segments = address.split(separator: "/", omittingEmptySubsequences: false)
            let pattern = path.split(separator: "/", omittingEmptySubsequences: false)
            guard segments.count == pattern.count else { return false }
            return zip(pattern, segments).allSatisfy { $0.first == "{" || $0 == $1 }
        }
    }

    static let logIn = Operation(.post, "/v1/sessions")
    static let logOut = Operation(.delete, "/v1/sessions/current")
    static let me = Operation(.get, "/v1/me")
    static let users = Operation(.get, "/v1/users")
    static let createThread = Operation(.post, "/v1/threads")
    static let inbox = Operation(.get, "/v1/threads")
    static let thread = Operation(.get, "/v1/threads/{id}")
    static let history = Operation(.get, "/v1/threads/{id}/entries")
    static let sendMessage = Operation(.post, "/v1/threads/{id}/messages")
    static let message = Operation(.get, "/v1/threads/{id}/messages/{number}")
    static let recallMessage = Operation(.post, "/v1/threads/{id}/messages/{number}/recall")
    static let addParticipants = Operation(.post, "/v1/threads/{id}/participants")
    static let leaveThread = Operation(.post, "/v1/threads/{id}/leave")
    static let markReceipts = Operation(.post, "/v1/threads/{id}/receipts")
    static let entries = Operation(.get, "/v1/entries")
    static let live = Operation(.get, "/v1/live")
    static let status = Operation(.get, "/v1/status")
    static let openAPI = Operation(.get, "/v1/openapi.json")
    static let alive = Operation(.get, "/healthz")
    static let ready = Operation(.get, "/readyz")
    static let metrics = Operation(.get, "/metrics")

    static let all: [Operation] = [
        logIn, logOut, me, users, createThread, inbox, thread, history, sendMessage, message, recallMessage,
        addParticipants, leaveThread, markReceipts, entries, live, status, openAPI, alive, ready, metrics,
    ]

    /// Whether a path is in the one form that addresses here have: what a proxy forbids in that form is forbidden.
    ///
    /// No empty segments, none of dots, none at the end, and nothing escaped: no address needs it.
    static func isCanonical(_ path: some StringProtocol) -> Bool {
        guard path.utf8.first == UInt8(ascii: "/") else { return false }
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if segments == [""] { return true }
        return segments.allSatisfy { segment in
            !segment.isEmpty && segment != "." && segment != ".." && segment.utf8.allSatisfy(isPlain)
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~".utf8.contains(byte)
        }
    }

    /// The methods that an address answers; none when there is nothing.
    static func methods(at address: String) -> [HTTPRequest.Method] {
        if StaticFiles.byPath[address] != nil { return [.get, .head] }
        let methods = all.filter { $0.matches(address) }.map(\.method)
        return methods.contains(.get) ? methods + [.head] : methods
    }
}
