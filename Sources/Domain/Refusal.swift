/// Why a request was refused: a stable code for programs and a plain sentence that says what to do.
package struct Refusal: Error, Hashable, Sendable {
    package let code: Code
    package let message: String
    /// When trying again can help: after how long at the earliest, in milliseconds.
    package let retryAfterMilliseconds: Int?

    package init(_ code: Code, _ message: String, retryAfterMilliseconds: Int? = nil) {
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }

    /// The codes of the client protocol (docs/client-protocol.md lists each with its HTTP status).
    package enum Code: String, Hashable, Sendable, CaseIterable {
        case badRequest = "bad-request"
        case badFrame = "bad-frame"
        case unknownFrame = "unknown-frame"
        case outOfOrder = "out-of-order"
        case tooLarge = "too-large"
        case empty = "empty"
        case notUTF8 = "not-utf8"
        case unauthenticated = "unauthenticated"
        case badCredentials = "bad-credentials"
        case tooManyRequests = "too-many-requests"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case forbidden = "forbidden"
        case threadClosed = "thread-closed"
        case keyReused = "key-reused"
        case unavailable = "unavailable"
        case internalError = "internal-error"
        case unsupported = "unsupported"

        /// The HTTP status that goes with the code.
        package var httpStatus: Int {
            switch self {
            case .badRequest, .badFrame, .unknownFrame, .outOfOrder, .empty, .notUTF8: 400
            case .unauthenticated, .badCredentials: 401
            case .forbidden: 403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .threadClosed: 409
            case .tooLarge: 413
            case .keyReused: 422
            case .tooManyRequests: 429
            case .internalError: 500
            case .unsupported: 501
            case .unavailable: 503
            }
        }
    }
}
