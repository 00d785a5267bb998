import DequeModule
import Domain
import Failpoints
import Logging
import Observability
import SQLDatabase
import ServiceLink
import Store
import Synchronization

/// Where the answer to one request goes.
struct ReplyAddress: Sendable {
    let connection: LinkConnection
    let request: UInt64

    init(connection: LinkConnection, request: UInt64) {
        self.connection = connection
        self.request = request
    }
}

/// Group commit for one customer's log: at most one append is in flight, and what arrives meanwhile is the next batch.
///
/// Idle latency is one commit; under load the batches grow by themselves.
final class LogAppender: Sendable {
    static let batchEntries = 512
    static let batchBytes = 1 << 20
    /// More than this many waiting entries, or bytes of them, and new ones are refused with `too-many-requests`.
    static let queueEntries = 16_384
    static let queueBytes = 64 << 20
    /// How long receipts are held, so that those of a thread become one entry.
    static let receiptHold = Duration.milliseconds(50)
    /// After a failure, receipts are tried again so much later.
    static let receiptRetry = Duration.seconds(1)
    /// Distinct (thread, user) receipts held at most; beyond it a receipt is dropped, and its client repeats it.
    static let heldReceipts = 65_536

    fileprivate struct Waiting {
        let message: NewMessage
        /// The live session that sent it; nil when it came by a request of its own.
        let session: LiveSession?
        let reply: ReplyAddress

        var origin: SessionAddress { session?.address ?? .none }
    }

    fileprivate struct ReceiptKey: Hashable {
        let thread: MessageThread.ID
        let user: User.ID
    }

    fileprivate struct HeldReceipt {
        var delivered: EntryNumber
        var read: EntryNumber
        /// The session that sent it; nil when several did.
        var origin: SessionAddress?
    }

    fileprivate struct State {
        var queue = Deque<Waiting>()
        var queuedBytes = 0
        var held: [ReceiptKey: HeldReceipt] = [:]
        var holdIsRunning = false
        var receiptsAreDue = false
        var isAppending = false
        /// The last append failed: another database may answer the next, one that has not everything.
        var mustVerify = false
        /// How often the database had been connected when the log was last looked at.
        var connections = 0

        /// Whether the database was connected anew since this was asked last.
        mutating func hasReconnected(_ count: Int) -> Bool {
            defer { connections = count }
            return connections != count
        }
    }

    private let state = Mutex(State())
    private let customer: Customer.ID
    private let store: Store
    private let standing: ServerStanding
    private let work: BackgroundWork
    private let metrics: LogMetrics
    private let sent: SentRequests
    private let verify: @Sendable () async throws -> Void
    private let suspect: @Sendable () -> Void
    private let committed: @Sendable ([CommittedEntry]) -> Void

    /// - Parameters:
    ///   - verify: asked before the first append after one that failed: sees to it that the log has lost nothing.
    ///   - suspect: told before `committed` when the answer may have come from another database than those before.
    ///   - committed: told after each commit, in commit order, what it added to the log.
    init(
        customer: Customer.ID, store: Store, standing: ServerStanding, work: BackgroundWork,
        metrics: LogMetrics, sent: SentRequests, verify: @escaping @Sendable () async throws -> Void,
        suspect: @escaping @Sendable () -> Void, committed: @escaping @Sendable ([CommittedEntry]) -> Void
    ) {
        self.customer = customer
        self.store = store
        self.standing = standing
        self.work = work
        self.metrics = metrics
        self.sent = sent
        self.verify = verify
        self.suspect = suspect
        self.committed = committed
    }

    /// Queues a message; its answer goes to `reply` after the commit.
    func append(_ message: NewMessage, from session: LiveSession?, reply: ReplyAddress) {
        let (isFull, mustStart) = state.withLock { state in
            guard state.queue.count < Self.queueEntries, state.queuedBytes < Self.queueBytes else {
                return (true, false)
            }
            state.queuedBytes += message.text.utf8.count
            state.queue.append(Waiting(message: message, session: session, reply: reply))
            return (false, state.startAppending())
        }
        if isFull {
            reply.refuse(
                Refusal(.tooManyRequests, "This customer's log is busy.", retryAfterMilliseconds: 1_000))
        }
        if mustStart { start() }
    }

    /// Holds a receipt for a moment, merged with others of the same user and thread.
    func mark(_ receipt: NewReceipt, origin: SessionAddress?) {
        let mustHold = state.withLock { state in
            guard state.hold(receipt, origin: origin), !state.holdIsRunning else { return false }
            state.holdIsRunning = true
            return true
        }
        if mustHold { holdReceipts() }
    }

    private func holdReceipts() {
        work.start { [self] in
            // Cancelled only at shutdown: then what is held goes out at once.
            try? await Task.sleep(for: Self.receiptHold)
            let mustStart = state.withLock { state in
                state.holdIsRunning = false
                state.receiptsAreDue = true
                return state.startAppending()
            }
            if mustStart { await appendUntilEmpty() }
        }
    }

    private static let outOfTurn = Refusal(
        .unavailable, "A message before this one has no known outcome yet: repeat both, in their order.",
        retryAfterMilliseconds: 500)

    private func start() {
        work.start { [self] in await appendUntilEmpty() }
    }

    private func appendUntilEmpty() async {
        while let batch = takeBatch() {
            let broken = batch.messages.filter { $0.session?.isBroken == true }
            for waiting in broken { waiting.reply.refuse(Self.outOfTurn) }
            let messages =
                broken.isEmpty ? batch.messages : batch.messages.filter { $0.session?.isBroken != true }
            await append(messages, batch.receipts)
        }
    }
}

extension LogAppender.State {
    fileprivate mutating func startAppending() -> Bool {
        defer { isAppending = true }
        return !isAppending
    }

    /// False when there is no room for another.
    fileprivate mutating func hold(_ receipt: NewReceipt, origin: SessionAddress?) -> Bool {
        let key = LogAppender.ReceiptKey(thread: receipt.thread, user: receipt.user)
        if let old = held[key] {
            held[key] = LogAppender.HeldReceipt(
                delivered: max(old.delivered, receipt.delivered), read: max(old.read, receipt.read),
                origin: old.origin == origin ? origin : nil)
            return true
        }
        guard held.count < LogAppender.heldReceipts else { return false }
        held[key] = LogAppender.HeldReceipt(
            delivered: receipt.delivered, read: receipt.read, origin: origin)
        return true
    }
}

// MARK: - One batch

extension LogAppender {
    private typealias Batch = (messages: [Waiting], receipts: [ReceiptKey: HeldReceipt])

    /// The next batch; nil, and no append in flight any more, when nothing waits.
    private func takeBatch() -> Batch? {
        state.withLock { state in
            var messages: [Waiting] = []
            var bytes = 0
            var keys: Set<RequestKey> = []
            while let next = state.queue.first, messages.count < Self.batchEntries, bytes < Self.batchBytes {
                // A repeat of a request in the same batch waits for the next, where it is answered as a replay.
                guard keys.insert(RequestKey(next.message)).inserted else { break }
                bytes += next.message.text.utf8.count
                messages.append(state.queue.removeFirst())
            }
            state.queuedBytes -= bytes
            var receipts: [ReceiptKey: HeldReceipt] = [:]
            if state.receiptsAreDue {
                receipts = state.held
                state.held.removeAll(keepingCapacity: true)
                state.receiptsAreDue = false
            }
            guard !messages.isEmpty || !receipts.isEmpty else {
                state.isAppending = false
                return nil
            }
            return (messages, receipts)
        }
    }

    private struct RequestKey: Hashable {
        let author: User.ID
        let clientID: ClientID

        init(_ message: NewMessage) {
            author = message.author
            clientID = message.clientID
        }
    }

    private func append(_ messages: [Waiting], _ receipts: [ReceiptKey: HeldReceipt]) async {
        let batch = AppendBatch(
            messages: messages.map(\.message),
            receipts: receipts.map { key, held in
                NewReceipt(thread: key.thread, user: key.user, delivered: held.delivered, read: held.read)
            })
        let fence = standing.fence
        do {
            guard let fence else { throw StoreError.superseded }
            if state.withLock({ $0.mustVerify }) {
                try await verify()
                state.withLock { $0.mustVerify = false }
            }
            let began = ContinuousClock.now
            sent.note(messages.map { ($0.message, $0.origin) })
            let result = try await append(batch, fence)
            metrics.appended(messages.count + result.receiptEntries.count, in: ContinuousClock.now - began)
            standing.inTouch(since: began)
            // Statements wait for a connection that is made anew, and the first may go to a database that lost entries.
            if state.withLock({ $0.hasReconnected(store.database.connections) }) { suspect() }
            settle(messages, receipts, result)
        } catch let error as SQLError
            where error.isOfOneStatement && messages.count + (receipts.isEmpty ? 0 : 1) > 1
        {
            // One entry that the database cannot take must not fail its neighbours: each is tried alone.
            for waiting in messages {
                if waiting.session?.isBroken == true {
                    sent.forget(waiting.message)
                    waiting.reply.refuse(Self.outOfTurn)
                } else {
                    await append([waiting], [:])
                }
            }
            if !receipts.isEmpty { await append([], receipts) }
        } catch {
            if let fence, case StoreError.superseded = error { standing.lost(fence) }
            fail(messages, error)
            retry(receipts, after: error)
        }
    }

    private func append(_ batch: AppendBatch, _ fence: ServerFence) async throws -> AppendResult {
        #if FAILPOINTS
            if Mutant.current == .ackBeforeCommit { return try await appendAnsweringEarly(batch, fence) }
        #endif
        return try await store.append(batch, for: customer, fence: fence)
    }

    #if FAILPOINTS
        /// The mutant `ack-before-commit`: the commit goes on by itself, and what becomes of it, nobody asks.
        private func appendAnsweringEarly(_ batch: AppendBatch, _ fence: ServerFence) async throws
            -> AppendResult
        {
            let (answers, answer) = AsyncThrowingStream.makeStream(of: AppendResult.self)
            work.start { [self] in
                do {
                    try await store.appendAnsweringEarly(batch, for: customer, fence: fence) {
                        answer.yield($0)
                    }
                    answer.finish()
                } catch { answer.finish(throwing: error) }
            }
            for try await result in answers { return result }
            throw CancellationError()
        }
    #endif

    /// Receipts are evidence and nobody repeats them unasked: what could not be stored is tried again.
    private func retry(_ receipts: [ReceiptKey: HeldReceipt], after error: any Error) {
        guard !receipts.isEmpty, Refusal(failure: error).code == .unavailable, standing.fence != nil else {
            return
        }
        work.start { [self] in
            // Cancelled only at shutdown: then there is no next try.
            guard (try? await Task.sleep(for: Self.receiptRetry)) != nil else { return }
            for (key, held) in receipts {
                mark(
                    NewReceipt(
                        thread: key.thread, user: key.user, delivered: held.delivered, read: held.read),
                    origin: held.origin)
            }
        }
    }

    private func settle(_ messages: [Waiting], _ receipts: [ReceiptKey: HeldReceipt], _ result: AppendResult)
    {
        var replies = ReplyBatch()
        var entries: [CommittedEntry] = []
        entries.reserveCapacity(messages.count + result.receiptEntries.count)
        for (waiting, outcome) in zip(messages, result.outcomes) {
            replies.add(outcome, to: waiting.reply)
            guard case .success(let place) = outcome, !place.replayed else {
                sent.forget(waiting.message)
                continue
            }
            entries.append(CommittedEntry(waiting.message.entry(at: place), origin: waiting.origin))
        }
        for entry in result.receiptEntries {
            entries.append(CommittedEntry(entry, origin: origin(of: entry, in: receipts)))
        }
        // The answers go out first: on one connection an author's `ack` precedes everything that follows it.
        replies.send()
        if !entries.isEmpty { committed(entries) }
    }

    /// The one session whose receipt this is, which knows it already; nil when there are several.
    private func origin(of entry: LogEntry, in receipts: [ReceiptKey: HeldReceipt]) -> SessionAddress? {
        guard case .receipts(let readers) = entry.content, readers.count == 1 else { return nil }
        return receipts[ReceiptKey(thread: entry.thread, user: readers[0].user)]?.origin
    }

    private func fail(_ messages: [Waiting], _ error: any Error) {
        let refusal = Refusal(failure: error)
        if refusal.code == .internalError {
            Logger.current.error("An append failed", metadata: ["error": "\(error)"])
        } else {
            Logger.current.warning("An append failed", metadata: ["error": "\(error)"])
        }
        if refusal.code == .unavailable { state.withLock { $0.mustVerify = true } }
        for waiting in messages {
            sent.forget(waiting.message)
            if refusal.code == .unavailable { waiting.session?.breakOff() }
            waiting.reply.refuse(refusal)
        }
    }
}

extension NewMessage {
    fileprivate func entry(at place: Acceptance) -> LogEntry {
        LogEntry(
            position: place.position, thread: thread, number: place.number, author: author, device: device,
            clientID: clientID, at: place.at, content: .message(text: Sealed(text), priority: priority))
    }
}
