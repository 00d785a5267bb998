import ASMClient
import Domain
import NIOCore
import Synthetic

/// A `LoopLoad` seen from outside its event loop.
final class BenchLoop {
    /// A user's place: its loop, and the moment it is welcome.
    struct Seat: Sendable {
        let loop: any EventLoop
        let user: NIOLoopBound<BenchUser>
        let welcomed: EventLoopFuture<Void>
    }

    private let loop: any EventLoop
    private let load: NIOLoopBound<LoopLoad>
    private(set) var seats: [Seat] = []

    init(on loop: any EventLoop, _ workload: MessageWorkload, run: Int) async throws {
        self.loop = loop
        load = try await loop.submit {
            NIOLoopBound(LoopLoad(workload: workload, run: run), eventLoop: loop)
        }.get()
    }

    /// Adds a thread and its members, the first of whom has this index among all users.
    func add(_ accounts: [SyntheticAccount], from first: Int, to thread: MessageThread.ID) async throws {
        seats += try await loop.submit { [loop, load] in
            let load = load.value
            let conversation = Conversation(thread: thread, members: accounts.count)
            var seats: [Seat] = []
            var users: [BenchUser] = []
            for (member, account) in accounts.enumerated() {
                let welcomed = loop.makePromise(of: Void.self)
                loop.scheduleTask(in: MessageBench.welcomeLimit) {
                    welcomed.fail(
                        MessagingError(code: "timeout", message: "Not everybody was welcome in time."))
                }
                let user = BenchUser(
                    account: account, index: first + member, member: member, conversation: conversation,
                    load: load, welcomed: welcomed)
                users.append(user)
                seats.append(
                    Seat(
                        loop: loop, user: NIOLoopBound(user, eventLoop: loop), welcomed: welcomed.futureResult
                    ))
            }
            load.add(conversation, users: users)
            return seats
        }.get()
    }

    func start(measured: Range<NIODeadline>) {
        loop.execute { [loop, load] in load.value.start(measured: measured, on: loop.assumeIsolated()) }
    }

    func isSettled() async throws -> Bool { try await loop.submit { [load] in load.value.isSettled }.get() }

    func closeAll() async throws {
        try await loop.submit { [load] in
            load.value.stop()
            for user in load.value.users { user.close() }
        }.get()
    }

    /// What was measured and what is wrong.
    func finish() async throws -> LoadResult {
        try await loop.submit { [load] in
            load.value.stop()
            return LoadResult(load.value)
        }.get()
    }
}

/// What one event loop, or all together, measured.
struct LoadResult: Sendable {
    struct Place: Hashable, Sendable {
        let thread: MessageThread.ID
        let recipient: Int
    }

    struct Missing: Sendable {
        let place: Place
        let sender: Int
        let sequence: Int
    }

    var counts = LoadCounts()
    var acknowledgements = Histogram()
    var deliveries = Histogram()
    var tally = DeliveryCheck.Tally()
    var unanswered = 0
    var missing: [Missing] = []

    init() {}

    init(_ load: LoopLoad) {
        counts = load.counts
        acknowledgements = load.acknowledgements
        deliveries = load.deliveries
        unanswered = load.users.reduce(0) { $0 + $1.unansweredCount }
        for conversation in load.conversations {
            // A message without an answer may have taken a number in any thread of this loop.
            add(conversation.check.tally(unanswered: unanswered))
            missing += conversation.check.missing.map { missing in
                Missing(
                    place: Place(thread: conversation.thread, recipient: missing.recipient),
                    sender: missing.sender, sequence: missing.sequence)
            }
        }
    }

    mutating func add(_ other: LoadResult) {
        counts.add(other.counts)
        acknowledgements.add(other.acknowledgements)
        deliveries.add(other.deliveries)
        add(other.tally)
        unanswered += other.unanswered
        missing += other.missing
    }

    private mutating func add(_ other: DeliveryCheck.Tally) {
        tally.acknowledged += other.acknowledged
        tally.delivered += other.delivered
        tally.doubled += other.doubled
        tally.outOfOrder += other.outOfOrder
        tally.holes += other.holes
    }
}
