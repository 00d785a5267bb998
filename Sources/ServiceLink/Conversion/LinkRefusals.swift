package import Domain

extension LinkRefused {
    /// The link's form of a refusal.
    package init(_ refusal: Refusal) {
        self.init()
        code = refusal.code.rawValue
        message = refusal.message
        retryAfterMilliseconds = UInt32(clamping: refusal.retryAfterMilliseconds ?? 0)
    }
}

extension Refusal {
    /// The refusal that the link's form stands for; a code of a newer version becomes `internalError`.
    package init(_ refused: LinkRefused) {
        // A server that says to wait for weeks is not taken at its word.
        let retry = min(refused.retryAfterMilliseconds, LinkRange.longestRetryMilliseconds)
        self.init(
            Code(rawValue: refused.code) ?? .internalError, refused.message,
            retryAfterMilliseconds: retry == 0 ? nil : Int(clamping: retry))
    }
}

extension LinkResponse {
    /// The answer to the request with this id.
    package init(id: UInt64, _ body: OneOf_Body) {
        self.init()
        self.id = id
        self.body = body
    }

    /// The refusal of the request with this id.
    package init(id: UInt64, _ refusal: Refusal) { self.init(id: id, .refused(LinkRefused(refusal))) }
}
