import Domain
import NIOCore
import Synthetic

/// The users of one event loop and what they measure; lives on that loop.
final class LoopLoad {
    let workload: MessageWorkload
    let run: Int
    private(set) var users: [BenchUser] = []
    private(set) var conversations: [Conversation] = []
    var counts = LoadCounts()
    var acknowledgements = Histogram()
    var deliveries = Histogram()
    /// When samples are taken, and until when messages are sent.
    private(set) var measured: Range<NIODeadline>?
    private var sendingSince = NIODeadline.distantPast
    private var rate: Double?
    private var paced = 0
    private var nextUser = 0
    private var nextReceipt = 0
    private var isOver = false

    /// How often the pace is checked, and how many messages at most leave then.
    static let tick = TimeAmount.milliseconds(1)
    static let burstLimit = 1_000
    /// A message later than this counts from when it was due, not from when it was sent.
    static let lateness = TimeAmount.milliseconds(2)

    init(workload: MessageWorkload, run: Int) {
        self.workload = workload
        self.run = run
    }

    func add(_ conversation: Conversation, users: [BenchUser]) {
        conversations.append(conversation)
        self.users += users
    }

    /// Begins sending: samples count in `measured`.
    func start(measured: Range<NIODeadline>, on loop: NIOIsolatedEventLoop) {
        self.measured = measured
        sendingSince = .now()
        // A receipt for every user once in the interval, spread evenly over it.
        receiptTick(on: loop)
        if let rate = workload.rate {
            self.rate = rate * Double(users.count) / Double(workload.users)
            paceTick(on: loop)
        } else {
            for user in users { user.fill() }
        }
    }

    func stop() { isOver = true }

    func mayStillSend(at now: NIODeadline) -> Bool { measured.map { now < $0.upperBound } ?? false }

    func isMeasured(_ time: NIODeadline) -> Bool { measured?.contains(time) ?? false }

    /// Nothing is awaited any more.
    var isSettled: Bool {
        users.allSatisfy { $0.unansweredCount == 0 } && conversations.allSatisfy(\.check.isComplete)
    }

    private func paceTick(on loop: NIOIsolatedEventLoop) {
        let now = NIODeadline.now()
        guard let rate, !isOver, mayStillSend(at: now) else { return }
        let elapsed = Double((now - sendingSince).nanoseconds) / 1e9
        let due = min(Int(elapsed * rate) - paced, Self.burstLimit)
        for _ in 0..<max(0, due) {
            let intended = sendingSince + .nanoseconds(Int64(Double(paced) / rate * 1e9))
            guard let user = nextReadyUser() else { break }
            user.sendNext(countedFrom: now - intended > Self.lateness ? intended : now)
            paced += 1
        }
        loop.scheduleTask(in: Self.tick) { self.paceTick(on: loop) }
    }

    private func nextReadyUser() -> BenchUser? {
        for _ in users.indices {
            nextUser = (nextUser + 1) % users.count
            if users[nextUser].isReady { return users[nextUser] }
        }
        return nil
    }

    private func receiptTick(on loop: NIOIsolatedEventLoop) {
        guard !isOver else { return }
        let slices = max(1, Int(workload.receiptInterval / .milliseconds(5)))
        let share = (users.count + slices - 1) / slices
        for _ in 0..<share {
            users[nextReceipt].sendReceipt()
            nextReceipt = (nextReceipt + 1) % users.count
        }
        loop.scheduleTask(in: .milliseconds(5)) { self.receiptTick(on: loop) }
    }
}

/// One thread of the load and the check of its deliveries.
final class Conversation {
    let thread: MessageThread.ID
    var check: DeliveryCheck

    init(thread: MessageThread.ID, members: Int) {
        self.thread = thread
        check = DeliveryCheck(members: members)
    }
}

/// What happened, in numbers.
package struct LoadCounts: Sendable {
    /// Within the measured time.
    package var acknowledgedMeasured = 0
    package var deliveredMeasured = 0
    /// Over the whole run.
    package var sent = 0
    package var refused = 0
    package var unavailable = 0
    package var reconnects = 0
    package var resyncs = 0
    package var receiptFrames = 0
    package var refusals: [String: Int] = [:]

    mutating func add(_ other: LoadCounts) {
        acknowledgedMeasured += other.acknowledgedMeasured
        deliveredMeasured += other.deliveredMeasured
        sent += other.sent
        refused += other.refused
        unavailable += other.unavailable
        reconnects += other.reconnects
        resyncs += other.resyncs
        receiptFrames += other.receiptFrames
        refusals.merge(other.refusals, uniquingKeysWith: +)
    }
}
