import Domain
import ServiceLifecycle
import ServiceLink
import Synchronization

/// The long polls that wait: each is told by the servers' feed when there is something for its user.
///
/// A poll attaches to a server like a live client, and so costs nothing while nothing happens, and is attached elsewhere
/// when its server goes. What it is told is only that there is something; what that is it asks for.
final class LongPolls: Sendable {
    /// How many may wait at a time.
    struct Limits: Sendable {
        let all: Int
        let ofSession: Int
        let ofCustomer: Int

        init(_ limits: WebServiceLimits) {
            all = limits.longPolls
            ofSession = limits.sessionLongPolls
            ofCustomer = limits.customerLongPolls
        }
    }

    private struct State {
        var waiting: [UInt64: LongPoll] = [:]
        var count = 0
        var ofToken: [[UInt8]: Int] = [:]
        var ofCustomer: [Int64: Int] = [:]
    }

    private let limits: Limits
    private let state = Mutex(State())

    init(_ limits: Limits) { self.limits = limits }

    /// Lets a poll wait while the body runs.
    /// - Throws: `too-many-requests` when its log-in has too many, or all have.
    func waiting<Answer>(
        _ token: SessionToken, from cursor: LogCursor, on pool: LinkPool,
        _ body: (LongPoll) async throws -> Answer
    ) async throws -> Answer {
        let isFull = state.withLock { state in
            guard state.count < limits.all, state.ofToken[token.bytes, default: 0] < limits.ofSession else {
                return true
            }
            state.count += 1
            state.ofToken[token.bytes, default: 0] += 1
            return false
        }
        guard !isFull else { throw Self.tooMany }
        let poll = LongPoll(from: cursor.position) { [weak self] customer in self?.enter(customer) ?? false }
        // Under the lock, so that nothing is delivered to a session that is not known here yet.
        let session = state.withLock { state in
            let session = pool.open(token: token.bytes, cursor: cursor, sink: poll)
            state.waiting[session.id] = poll
            return session
        }
        defer {
            session.close()
            leave(session.id, token, poll)
        }
        return try await body(poll)
    }

    /// Wakes the poll of a session.
    /// - Returns: false when the session is none.
    func wake(_ session: UInt64) -> Bool {
        guard let poll = state.withLock({ $0.waiting[session] }) else { return false }
        poll.wake()
        return true
    }

    /// Lets the polls of a customer look again before the log has grown so far that they would have to begin anew.
    func followed(_ customer: Int64, to position: LogPosition) {
        let quiet = state.withLock { state in
            state.ofCustomer[customer] == nil ? [] : Array(state.waiting.values)
        }
        for poll in quiet { poll.followed(customer, to: position) }
    }

    /// Counts a poll in when it is known whose it is.
    private func enter(_ customer: Int64) -> Bool {
        state.withLock { state in
            guard state.ofCustomer[customer, default: 0] < limits.ofCustomer else { return false }
            state.ofCustomer[customer, default: 0] += 1
            return true
        }
    }

    private func leave(_ session: UInt64, _ token: SessionToken, _ poll: LongPoll) {
        let customer = poll.leave()
        state.withLock { state in
            state.waiting[session] = nil
            state.count -= 1
            state.ofToken.release(token.bytes)
            if let customer { state.ofCustomer.release(customer) }
        }
    }

    static var tooMany: Refusal {
        Refusal(
            .tooManyRequests, "Too many long polls are waiting; use a live connection.",
            retryAfterMilliseconds: Int.random(in: 2_000...5_000))
    }
}

/// One long poll: asleep until there may be something for its user.
final class LongPoll: LinkSessionSink {
    private struct State {
        var isWoken = false
        var refusal: Refusal?
        var sleeper: CheckedContinuation<Void, Never>?
        /// As whose it was counted.
        var customer: Int64?
        var hasLeft = false
        /// How far the log was when it looked last.
        var position: LogPosition
    }

    private let state: Mutex<State>
    private let enter: @Sendable (Int64) -> Bool

    /// A poll looks again when the log has grown by so much, though nothing in it went live to its user: an ASM Service
    /// says `resync` to one that is 10,000 behind.
    private static let looksEvery: LogPosition = 4_000

    init(from position: LogPosition, enter: @escaping @Sendable (Int64) -> Bool) {
        state = Mutex(State(position: position))
        self.enter = enter
    }

    /// Returns when there may be something, when the time is over, or when this process goes.
    /// - Throws: the refusal with which the session has ended.
    func sleep(for time: Duration) async throws(Refusal) {
        await withTaskGroup { group in
            group.addTask { [self] in
                // Cancelled when there is something before the time is over: then nobody is left to wake.
                do { try await Task.sleep(for: time) } catch { return }
                wake()
            }
            await withTaskCancellationHandler {
                await withGracefulShutdownHandler {
                    await untilWoken()
                } onGracefulShutdown: { [self] in
                    wake()
                }
            } onCancel: { [self] in
                wake()
            }
            group.cancelAll()
        }
        if let refusal = state.withLock({ $0.refusal }) { throw refusal }
    }

    private func untilWoken() async {
        await withCheckedContinuation { continuation in
            let isWoken = state.withLock { state in
                defer { state.isWoken = false }
                if !state.isWoken { state.sleeper = continuation }
                return state.isWoken
            }
            if isWoken { continuation.resume() }
        }
    }

    func wake() {
        let sleeper = state.withLock { state in
            defer { state.sleeper = nil }
            if state.sleeper == nil { state.isWoken = true }
            return state.sleeper
        }
        sleeper?.resume()
    }

    func followed(_ customer: Int64, to position: LogPosition) {
        let isFar = state.withLock { state in
            guard state.customer == customer, position - state.position >= Self.looksEvery else {
                return false
            }
            state.position = position
            return true
        }
        if isFar { wake() }
    }

    /// - Returns: the customer as whose it was counted.
    func leave() -> Int64? {
        state.withLock { state in
            state.hasLeft = true
            return state.customer
        }
    }

    func attached(_ attached: LinkAttached) {
        let customer = attached.identity.customer
        let isIn = state.withLock { state in
            guard !state.hasLeft else { return true }
            guard enter(customer) else { return false }
            state.customer = customer
            return true
        }
        if !isIn { ended(LongPolls.tooMany) }
        if attached.resync { wake() }
    }

    func moved(to server: BindAddress) {}

    func resync(at cursor: LogCursor, otherLog: Bool) { wake() }

    func ended(_ refusal: Refusal) {
        state.withLock { $0.refusal = refusal }
        wake()
    }
}

extension Dictionary where Value == Int {
    /// Counts one down, and forgets who has none.
    fileprivate mutating func release(_ key: Key) {
        guard let count = self[key] else { return }
        self[key] = count > 1 ? count - 1 : nil
    }
}
