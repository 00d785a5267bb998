import ASMClient
import Domain
import NIOPosix
import Synchronization

/// Somebody with a live connection, who notes everything that comes, exactly as it comes.
///
/// Simpler than `MessagingClient` on purpose: nothing is repaired or dropped here, so that what a server does
/// wrong shows.
final class Person: Sendable {
    enum Answer: Hashable, Sendable {
        case accepted(position: LogPosition, number: EntryNumber)
        case refused(Refusal)
        /// The connection went before an answer came.
        case none
    }

    struct Mark: Hashable, Sendable {
        let thread: MessageThread.ID
        let receipt: Receipt
    }

    struct State: Sendable {
        var connection: LiveConnection?
        var isWelcome = false
        /// How many connections have been welcomed.
        var welcomes = 0
        /// When each was.
        var welcomeTimes: [ContinuousClock.Instant] = []
        var ends: [LiveEnd] = []
        var endTimes: [ContinuousClock.Instant] = []
        var cursor: LogCursor?
        var resyncs = 0
        /// How often the log began anew: what was seen live before counts no more, as a client loads it anew.
        var newEpochs = 0
        /// When to connect elsewhere, as servers that were going have said.
        var drainings: [ContinuousClock.Instant] = []
        var byes: [Refusal] = []
        var seen: [LogEntry] = []
        /// When each of them came.
        var seenAt: [ContinuousClock.Instant] = []
        var marks: [Mark] = []
        var acknowledgements: [ContinuousClock.Instant] = []
        /// Whether what comes is acknowledged as delivered.
        var givesReceipts = true
        var nextRef: Int64 = 0
        var pending: [Int64: CheckedContinuation<Answer, Never>] = [:]
    }

    let login: Web.Login
    let state = Watched(State())
    var name: String { login.name }

    /// Reading whom to trust takes its time, so all share it.
    private static let security = Result {
        try LiveSecurity(ClientConfiguration(addresses: [WebAddress("http://127.0.0.1")]))
    }

    /// How often a message that was not accepted is repeated at most, and how long until then.
    private static let attempts = 100
    private static let pause = Duration.milliseconds(200)

    init(_ login: Web.Login) { self.login = login }

    /// Connects, from where the last connection ended, and waits for the welcome.
    func connect(to web: Web) async throws {
        try await open(to: web)
        try await state.until("\(name) should be welcome") { $0.isWelcome ? true : nil }
    }

    /// Connects and says hello; the welcome is still to come.
    func open(to web: Web) async throws {
        let address = try web.address()
        let security =
            try web.authority == nil ? Self.security.get() : LiveSecurity(web.configuration())
        let hello = ClientFrame.hello(token: login.token, cursor: state.value.cursor)
        let connection = try await LiveConnection.connect(
            to: address, on: MultiThreadedEventLoopGroup.singleton.any(), security: security
        ) { [self] in Ear(person: self, hello: hello) }
        state.update { $0.connection = connection }
    }

    func disconnect() async throws {
        state.value.connection?.close()
        try await state.until("\(name)'s connection should end") { $0.isWelcome ? nil : true }
    }

    /// Sends once and waits for what becomes of it.
    func send(_ text: String, to thread: MessageThread.ID, id: ClientID) async -> Answer {
        await withCheckedContinuation { continuation in
            let start = state.update { state -> (LiveConnection, Int64)? in
                guard state.isWelcome, let connection = state.connection else { return nil }
                state.nextRef += 1
                state.pending[state.nextRef] = continuation
                return (connection, state.nextRef)
            }
            guard let (connection, ref) = start else { return continuation.resume(returning: .none) }
            connection.send([
                .send(
                    SendFrame(
                        ref: FrameRef(ref), clientID: id, thread: thread, text: Sealed(text),
                        priority: .normal))
            ])
        }
    }

    /// Sends as the protocol says: what is not accepted now is repeated with the same id.
    ///
    /// Unknown when the connection went: this does not connect again by itself. The text begins with the id, so that
    /// the message is known again even where a server has forgotten under which id it came.
    func deliver(_ text: String, to thread: MessageThread.ID, in record: Record) async {
        let id = ClientID.random()
        let text = MarkedText.of(text, id)
        let invoked = ContinuousClock.now
        for _ in 0..<Self.attempts {
            let outcome: DeliveryHistory.Outcome
            switch await send(text, to: thread, id: id) {
            case .accepted(let position, let number):
                outcome = .acknowledged(position: position, number: number)
            case .refused(let refusal) where refusal.code == .unavailable || refusal.code == .tooManyRequests:
                // Cancelled only when the test is over.
                try? await Task.sleep(for: Self.pause)
                continue
            case .refused: outcome = .refused
            case .none: outcome = .unknown
            }
            return record.add(
                .init(
                    id: id, author: name, thread: thread, invoked: invoked, answered: .now, outcome: outcome))
        }
        record.add(
            .init(id: id, author: name, thread: thread, invoked: invoked, answered: .now, outcome: .unknown))
    }

    /// Waits until so many messages of others have come.
    func untilSeen(_ count: Int, within limit: Duration = .seconds(20)) async throws {
        try await state.until("\(name) should see \(count) messages", within: limit) { state in
            state.seen.count { $0.isMessage } >= count ? true : nil
        }
    }

    fileprivate func heard(_ frame: ServerFrame) {
        let now = ContinuousClock.now
        let resumed = state.update { state -> (CheckedContinuation<Answer, Never>, Answer)? in
            switch frame {
            case .welcome(_, _, let cursor, let resync, _):
                state.isWelcome = true
                state.welcomes += 1
                state.welcomeTimes.append(now)
                state.cursor = cursor
                if resync { state.resyncs += 1 }
            case .ack(let ref, let position, let number, _):
                state.acknowledgements.append(now)
                return state.answer(ref, .accepted(position: position, number: number))
            case .refused(let ref, let refusal): return ref.flatMap { state.answer($0, .refused(refusal)) }
            case .entries(let cursor, let entries):
                state.cursor = cursor
                state.seen += entries
                state.seenAt += entries.map { _ in now }
                state.receive(entries)
            case .receipts(let frame):
                state.cursor = frame.cursor
                state.marks += frame.receipts.map { Mark(thread: frame.thread, receipt: $0) }
            case .resync(let cursor, _):
                if let known = state.cursor, known.epoch != cursor.epoch { state.newEpochs += 1 }
                state.cursor = cursor
                state.resyncs += 1
            case .bye(let refusal): state.byes.append(refusal)
            case .draining(let milliseconds): state.drainings.append(now + .milliseconds(milliseconds))
            case .pong, .route, .unknown: break
            }
            return nil
        }
        if let (continuation, answer) = resumed { continuation.resume(returning: answer) }
    }

    fileprivate func ended(_ end: LiveEnd) {
        let pending = state.update { state in
            defer { state.pending = [:] }
            state.isWelcome = false
            state.connection = nil
            state.ends.append(end)
            state.endTimes.append(.now)
            return Array(state.pending.values)
        }
        for continuation in pending { continuation.resume(returning: .none) }
    }
}

extension Person.State {
    fileprivate mutating func answer(
        _ ref: FrameRef, _ answer: Person.Answer
    ) -> (CheckedContinuation<Person.Answer, Never>, Person.Answer)? {
        ref.number.flatMap { pending.removeValue(forKey: $0) }.map { ($0, answer) }
    }

    /// Acknowledges what the device has got.
    fileprivate func receive(_ entries: [LogEntry]) {
        guard givesReceipts else { return }
        var delivered: [MessageThread.ID: EntryNumber] = [:]
        for entry in entries {
            delivered[entry.thread] = max(entry.number ?? 0, delivered[entry.thread] ?? 0)
        }
        connection?.send(delivered.map { .receipt(thread: $0.key, delivered: $0.value, read: nil) })
    }
}

extension LogEntry {
    var isMessage: Bool {
        if case .message = content { true } else { false }
    }
}

/// The handler of one connection of a person.
private final class Ear: LiveHandler {
    private let person: Person
    private let hello: ClientFrame

    init(person: Person, hello: ClientFrame) {
        self.person = person
        self.hello = hello
    }

    func opened(_ outlet: LiveOutlet) { outlet.send(hello) }
    func received(_ frame: ServerFrame) { person.heard(frame) }
    func readEnded() {}
    func closed(_ end: LiveEnd) { person.ended(end) }
}
