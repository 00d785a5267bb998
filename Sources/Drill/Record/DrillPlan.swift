package import ASMClient

/// How long, how fast and how strict a drill is.
package struct DrillPlan: Sendable, Hashable {
    /// More would fill this process's memory and somebody's thread.
    package static let messageLimit = 100_000
    /// A live installation is not to be hurt.
    package static let rateLimit = 1_000.0
    package static let pathLimit = 200

    package var duration = Duration.seconds(60)
    /// Messages a second of all paths together.
    package var rate = 20.0
    /// The longest time without an acknowledgement that passes.
    package var longestGap = Duration.seconds(3)
    /// How many sessions send and read.
    package var paths = 8

    package init() {}

    /// Throws `MessagingError` where the drill makes no sense.
    package func check(webs: Int) throws(MessagingError) {
        guard duration >= .seconds(1), duration <= .seconds(86_400) else {
            throw Self.bad("--seconds must be 1 to 86400")
        }
        guard rate > 0, rate <= Self.rateLimit else {
            throw Self.bad("--rate must be above 0 and at most \(Int(Self.rateLimit)) messages a second")
        }
        guard longestGap > .zero else { throw Self.bad("--max-gap must be above 0") }
        guard paths >= 2, paths <= Self.pathLimit, paths >= webs else {
            throw Self.bad(
                "--users must be at least 2, at least one for each web address, and at most \(Self.pathLimit)"
            )
        }
        guard duration / .seconds(1) * rate <= Double(Self.messageLimit) else {
            throw Self.bad(
                "that would be more than \(Self.messageLimit) messages: lower --rate or --seconds")
        }
    }

    private static func bad(_ problem: String) -> MessagingError {
        MessagingError(code: "bad-request", message: "This drill cannot be run: \(problem).")
    }
}
