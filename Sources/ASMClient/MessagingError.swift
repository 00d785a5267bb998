package import Domain

/// Why something did not work: a stable code for programs and a sentence for people.
public struct MessagingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A code of the client protocol, such as `too-large`, or one of the client's own: `unreachable`,
    /// `outbox-full`.
    public let code: String
    public let message: String
    /// When trying again can help: after how many milliseconds at the earliest.
    public let retryAfterMilliseconds: Int?

    public init(code: String, message: String, retryAfterMilliseconds: Int? = nil) {
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }

    /// No server could be reached.
    public static let unreachableCode = "unreachable"
    /// As many messages wait to be sent as the configuration allows.
    public static let outboxFullCode = "outbox-full"

    /// The message as one line: what a server says cannot add lines to a report or a mail.
    public var description: String { escapingControls(message) }

    /// Whether the session is void, so that only logging in again helps.
    public var needsLogIn: Bool { code == Refusal.Code.unauthenticated.rawValue }

    package init(_ code: Refusal.Code, _ message: String) {
        self.init(code: code.rawValue, message: message)
    }

    package init(_ refusal: Refusal) {
        self.init(
            code: refusal.code.rawValue, message: refusal.message,
            retryAfterMilliseconds: refusal.retryAfterMilliseconds)
    }

    package static func unreachable(_ detail: String) -> MessagingError {
        MessagingError(code: unreachableCode, message: "No Web Service could be reached: \(detail)")
    }
}
