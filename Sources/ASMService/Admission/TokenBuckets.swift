import Synchronization

/// A rate for each of many: users, addresses.
///
/// Who has not been heard of has its whole burst, so whoever has it again need not be remembered.
final class TokenBuckets<Key: Hashable & Sendable>: Sendable {
    private struct Bucket {
        var tokens: Double
        var at: ContinuousClock.Instant
    }

    private let rate: Rate
    private let remembered: Int
    private let buckets = Mutex<[Key: Bucket]>([:])

    init(_ rate: Rate, remembered: Int) {
        self.rate = rate
        self.remembered = remembered
    }

    /// Takes one.
    /// - Returns: nil when there was one, else how long until there is.
    func take(_ key: Key, at now: ContinuousClock.Instant = .now) -> Duration? {
        buckets.withLock { buckets in
            var bucket = filled(buckets[key], now)
            guard bucket.tokens >= 1 else {
                buckets[key] = bucket
                return .seconds((1 - bucket.tokens) / rate.perSecond)
            }
            if buckets[key] == nil, buckets.count >= remembered { forget(&buckets, now) }
            bucket.tokens -= 1
            buckets[key] = bucket
            return nil
        }
    }

    /// Gives one back that was taken and not used.
    func giveBack(_ key: Key) {
        buckets.withLock { buckets in
            guard let tokens = buckets[key]?.tokens else { return }
            buckets[key]?.tokens = min(tokens + 1, rate.burst)
        }
    }

    private func filled(_ bucket: Bucket?, _ now: ContinuousClock.Instant) -> Bucket {
        guard let bucket else { return Bucket(tokens: rate.burst, at: now) }
        let seconds = max((now - bucket.at) / .seconds(1), 0)
        return Bucket(tokens: min(bucket.tokens + seconds * rate.perSecond, rate.burst), at: now)
    }

    /// Forgets who has the whole burst again; all of them when that does not help, which forgives somebody something.
    private func forget(_ buckets: inout [Key: Bucket], _ now: ContinuousClock.Instant) {
        buckets = buckets.filter { filled($0.value, now).tokens < rate.burst }
        if buckets.count >= remembered { buckets.removeAll() }
    }
}
