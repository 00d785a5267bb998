import DequeModule
import Domain
import Store
import Synchronization

/// Lets few requests run at a time, and lets those that wait run in turns between customers.
///
/// One customer cannot have all places, so another finds one free; and when all are taken, each customer's turn comes after
/// one request of every other, however many of them wait.
final class FairQueue: Sendable {
    typealias Job = @Sendable () async -> Void

    /// How many may run at a time, in all and of one customer.
    struct Places: Sendable {
        let all: Int
        let ofCustomer: Int
    }

    /// Whose request it is.
    struct Asker: Sendable {
        let customer: Customer.ID
        let user: User.ID
        let session: Int64

        init(_ record: SessionRecord) {
            customer = record.user.customer
            user = record.user.id
            session = record.id
        }

        init(customer: Customer.ID, user: User.ID, session: Int64) {
            self.customer = customer
            self.user = user
            self.session = session
        }
    }

    private struct Waiting {
        let asker: Asker
        let job: Job
    }

    private struct Line {
        var waiting = Deque<Waiting>()
        var running = 0
    }

    private struct State {
        var lines: [Customer.ID: Line] = [:]
        /// Customers with somebody waiting, in the order of their turns.
        var turns = Deque<Customer.ID>()
        var running = 0
        var ofUser: [User.ID: Int] = [:]
        var ofSession: [Int64: Int] = [:]
    }

    private let places: Places
    private let limits: AdmissionLimits
    private let state = Mutex(State())
    /// Starts a job; false when this server is going and takes no more.
    private let start: @Sendable (@escaping Job) -> Bool

    init(_ places: Places, _ limits: AdmissionLimits, start: @escaping @Sendable (@escaping Job) -> Bool) {
        self.places = places
        self.limits = limits
        self.start = start
    }

    /// For reading what resuming sessions missed: these wait rather than being refused, since after a failover all come
    /// at once. They leave places of the lane for reads to requests.
    static func forCatchUps(start: @escaping @Sendable (@escaping Job) -> Bool) -> FairQueue {
        var limits = AdmissionLimits()
        (limits.sessionRequests, limits.userRequests) = (limits.catchUps, limits.catchUps)
        limits.customerRequests = limits.catchUps
        return FairQueue(
            Places(all: limits.catchUpsUnderWay, ofCustomer: limits.customerCatchUps), limits, start: start)
    }

    /// Runs the job now or in its turn.
    /// - Returns: false when its session, user or customer has too much in hand already: then it never runs.
    func submit(_ asker: Asker, _ job: @escaping Job) -> Bool {
        let ready: [Waiting]? = state.withLock { state in
            let line = state.lines[asker.customer].map { (waiting: $0.waiting.count, running: $0.running) }
            let (waiting, running) = line ?? (0, 0)
            guard state.ofSession[asker.session, default: 0] < limits.sessionRequests,
                state.ofUser[asker.user, default: 0] < limits.userRequests,
                waiting + running < limits.customerRequests
            else { return nil }
            state.ofSession[asker.session, default: 0] += 1
            state.ofUser[asker.user, default: 0] += 1
            if waiting == 0 { state.turns.append(asker.customer) }
            state.lines[asker.customer, default: Line()].waiting.append(Waiting(asker: asker, job: job))
            return takeReady(&state)
        }
        guard let ready else { return false }
        run(ready)
        return true
    }

    /// How many run and wait.
    var inHand: Int {
        state.withLock { state in state.running + state.lines.values.reduce(0) { $0 + $1.waiting.count } }
    }

    private func run(_ ready: [Waiting]) {
        var next = Deque(ready)
        while let waiting = next.popFirst() {
            let isStarted = start { [self] in
                await waiting.job()
                run(ended(waiting.asker))
            }
            if !isStarted { next += ended(waiting.asker) }
        }
    }

    /// Gives a place back.
    /// - Returns: those that have a place now.
    private func ended(_ asker: Asker) -> [Waiting] {
        state.withLock { state in
            state.running -= 1
            state.lines[asker.customer]?.running -= 1
            if let line = state.lines[asker.customer], line.running == 0, line.waiting.isEmpty {
                state.lines[asker.customer] = nil
            }
            state.ofUser.release(asker.user)
            state.ofSession.release(asker.session)
            return takeReady(&state)
        }
    }

    /// Those that have a place now, one of each customer in turn.
    private func takeReady(_ state: inout State) -> [Waiting] {
        var ready: [Waiting] = []
        var passed = 0
        while state.running < places.all, passed < state.turns.count, let customer = state.turns.popFirst() {
            // Taken out while it changes, so that it is not copied.
            guard var line = state.lines.removeValue(forKey: customer) else { continue }
            defer { state.lines[customer] = line }
            guard line.running < places.ofCustomer, let waiting = line.waiting.popFirst() else {
                if !line.waiting.isEmpty { state.turns.append(customer) }
                passed += 1
                continue
            }
            ready.append(waiting)
            line.running += 1
            state.running += 1
            if !line.waiting.isEmpty { state.turns.append(customer) }
            passed = 0
        }
        return ready
    }
}

extension Dictionary where Value == Int {
    /// Counts one down, and forgets who has none.
    mutating func release(_ key: Key) {
        guard let count = self[key] else { return }
        self[key] = count > 1 ? count - 1 : nil
    }
}
