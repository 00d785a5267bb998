import Domain
import Synchronization

/// How many may be at something at a time; who comes beyond it is sent away, not queued.
final class Turnstile: Sendable {
    private let inside = Mutex(0)
    private let limit: Int
    private let message: String
    /// In milliseconds, drawn anew for each refusal, so that those sent away do not come back together.
    private let retryAfter: ClosedRange<Int>

    init(limit: Int, message: String, retryAfterMilliseconds: ClosedRange<Int>) {
        self.limit = limit
        self.message = message
        retryAfter = retryAfterMilliseconds
    }

    /// - Throws: `too-many-requests` when it is full.
    func pass<Answer>(_ work: () async throws -> Answer) async throws -> Answer {
        let isFull = inside.withLock { inside in
            guard inside < limit else { return true }
            inside += 1
            return false
        }
        guard !isFull else {
            throw Refusal(
                .tooManyRequests, message, retryAfterMilliseconds: Int.random(in: retryAfter))
        }
        defer { inside.withLock { $0 -= 1 } }
        return try await work()
    }
}
