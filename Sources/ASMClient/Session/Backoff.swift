/// How long to wait before the next attempt: a random time in 0…min(`longest`, `shortest` · 2ⁿ).
///
/// Full jitter, so that the clients of a server that went away do not come back all at once.
struct Backoff: Sendable {
    static let shortest = Duration.milliseconds(250)
    static let longest = Duration.seconds(30)
    /// How long a server can ask to be left alone.
    static let longestAsked = Duration.seconds(60)
    /// Beyond this many attempts the bound does not grow any more.
    private static let exponentLimit = 7

    private var attempts = 0

    /// The bound that the next time is drawn below.
    var bound: Duration { min(Self.longest, Self.shortest * (1 << min(attempts, Self.exponentLimit))) }

    mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let bound = bound
        attempts += 1
        return bound * Double.random(in: 0..<1, using: &generator)
    }

    /// The pause that a server asked for, bounded.
    static func asked(milliseconds: Int?) -> Duration {
        min(longestAsked, .milliseconds(max(milliseconds ?? 0, 0)))
    }

    /// After a success: the next failure is the first again.
    mutating func reset() { attempts = 0 }
}
