import Crypto
import Domain
import Store
import Synchronization

/// The sessions in force, by token, cached while their customer's log is followed.
///
/// A revocation is an entry of that log: once followed, the session is forgotten here, so no request needs a query.
final class SessionDirectory: Sendable {
    static let tokenBytes = 32
    /// Sessions kept at most; beyond it the cache starts anew.
    static let cachedSessions = 100_000
    /// A session is looked up again after so long, which notices its expiry and marks it as used.
    static let cachedFor = Duration.seconds(600)

    private struct State {
        var records: [[UInt8]: (record: SessionRecord, until: ContinuousClock.Instant)] = [:]
        /// Grows with every revocation: tells a look-up that its answer may be stale.
        var revocations = 0
        /// Sessions seen ended, for those that are being attached at that moment; ids are never used again.
        var ended: Set<Int64> = []
    }

    private let state = Mutex(State())
    private let store: Store
    private let policy: SessionPolicy

    init(store: Store, policy: SessionPolicy) {
        self.store = store
        self.policy = policy
    }

    /// The session that a token opens, if it is known here.
    func cached(_ token: [UInt8]) -> SessionRecord? {
        let hash = Self.hash(token)
        return state.withLock { state in
            guard let known = state.records[hash], known.until > .now else { return nil }
            return known.record
        }
    }

    /// Asks the database which session a token opens.
    /// - Parameter keeps: whether to cache it: only when the customer's log was followed before the question.
    func lookUp(_ token: [UInt8], keeps: Bool) async throws -> SessionRecord {
        guard token.count == Self.tokenBytes else { throw Self.unauthenticated }
        let hash = Self.hash(token)
        let revocations = state.withLock { $0.revocations }
        guard let record = try await store.session(tokenHash: hash, policy: policy) else {
            throw Self.unauthenticated
        }
        guard keeps else { return record }
        state.withLock { state in
            guard state.revocations == revocations else { return }
            if state.records.count >= Self.cachedSessions { state.records.removeAll() }
            state.records[hash] = (record, ContinuousClock.now + Self.cachedFor)
        }
        return record
    }

    func forget(session: Int64) {
        state.withLock { state in
            if state.ended.count >= Self.cachedSessions { state.ended.removeAll() }
            state.ended.insert(session)
        }
        forget { $0.id == session }
    }

    /// Whether the log said that the session has ended, as far as this server remembers.
    func hasEnded(_ session: Int64) -> Bool { state.withLock { $0.ended.contains(session) } }

    func forget(user: User.ID) { forget { $0.user.id == user } }

    private func forget(where matches: (SessionRecord) -> Bool) {
        state.withLock { state in
            state.revocations += 1
            state.records = state.records.filter { !matches($0.value.record) }
        }
    }

    static func newToken() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<tokenBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// What the database keeps of a token.
    static func hash(_ token: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: token)) }

    static let unauthenticated = Refusal(
        .unauthenticated, "This log-in is not valid (any more): log in again.")
}

/// Finds whose token it is, and makes sure that this server learns of a revocation before it trusts its cache.
struct Authenticate: Sendable {
    let directory: SessionDirectory
    let logs: CustomerLogs

    func callAsFunction(_ token: [UInt8]) async throws -> SessionRecord {
        if let known = directory.cached(token) { return known }
        let record = try await directory.lookUp(token, keeps: false)
        try await logs.log(of: record.user.customer).feed.open()
        return try await directory.lookUp(token, keeps: true)
    }
}
