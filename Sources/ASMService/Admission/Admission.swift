import Domain
import ServiceLink
import Store
import Synchronization

/// Decides what of all that is asked an ASM Service takes on, so that nobody's demands are at another's cost.
final class Admission: Sendable {
    /// What a request costs.
    enum Kind: Sendable {
        case read
        case change
        case newThread
    }

    let limits: AdmissionLimits
    private let reads: FairQueue
    private let changes: FairQueue
    private let sendRates: TokenBuckets<User.ID>
    private let readRates: TokenBuckets<User.ID>
    private let threadRates: TokenBuckets<User.ID>
    private let connections = Mutex(Connections())

    private struct Connections {
        var ofSession: [Int64: Int] = [:]
        var ofUser: [User.ID: Int] = [:]
    }

    init(_ limits: AdmissionLimits, work: BackgroundWork) {
        self.limits = limits
        let start: @Sendable (@escaping FairQueue.Job) -> Bool = { work.start($0) }
        reads = FairQueue(.init(all: limits.reads, ofCustomer: limits.customerReads), limits, start: start)
        changes = FairQueue(
            .init(all: limits.changes, ofCustomer: limits.customerChanges), limits, start: start)
        sendRates = TokenBuckets(limits.sends, remembered: limits.remembered)
        readRates = TokenBuckets(limits.readRate, remembered: limits.remembered)
        threadRates = TokenBuckets(limits.newThreads, remembered: limits.remembered)
    }

    /// Runs the job in its turn, or says why not.
    func submit(_ kind: Kind, of record: SessionRecord, _ job: @escaping FairQueue.Job) -> Refusal? {
        let user = record.user.id
        let wait =
            switch kind {
            case .read: readRates.take(user)
            case .newThread: threadRates.take(user)
            case .change: sendRates.take(user)
            }
        if let wait { return Self.tooFast(wait) }
        let queue = kind == .read ? reads : changes
        guard queue.submit(.init(record), job) else {
            return Refusal(
                .tooManyRequests, "Too many requests are under way; wait for answers before sending more.",
                retryAfterMilliseconds: Int.random(in: 200...600))
        }
        return nil
    }

    /// Whether a user may send one more message now.
    func send(by user: User.ID) -> Refusal? { sendRates.take(user).map(Self.tooFast) }

    private static func tooFast(_ wait: Duration) -> Refusal {
        Refusal(
            .tooManyRequests, "This is faster than one user may be; go on more slowly.",
            retryAfterMilliseconds: max(Int((wait / .milliseconds(1)).rounded(.up)), 1))
    }

    /// Counts a live session in.
    /// - Returns: what counts it out, to be called once; nil when there are too many.
    func connect(_ record: SessionRecord) -> (@Sendable () -> Void)? {
        let (session, user) = (record.id, record.user.id)
        let isFull = connections.withLock { connections in
            guard connections.ofSession[session, default: 0] < limits.sessionConnections,
                connections.ofUser[user, default: 0] < limits.userConnections
            else { return true }
            connections.ofSession[session, default: 0] += 1
            connections.ofUser[user, default: 0] += 1
            return false
        }
        guard !isFull else { return nil }
        return { [weak self] in
            self?.connections.withLock { connections in
                connections.ofSession.release(session)
                connections.ofUser.release(user)
            }
        }
    }

    static let tooManyConnections = Refusal(
        .tooManyRequests, "This log-in has too many live connections; close some.",
        retryAfterMilliseconds: 5_000)
}
