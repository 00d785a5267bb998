package import Domain
import NIOPosix

/// A user's client: sends and receives messages over any of several Web Services, and forgets nothing in
/// between.
///
/// Make one with the token of a log-in, then call `run()` in a task of your own: it connects, reconnects with
/// backoff and jitter, and returns only by throwing. Meanwhile send with `send` or `enqueue` and take
/// `events`, each once, in order. Messages given while there is no connection wait in the outbox, which the
/// store keeps over restarts. After a restart entries since the last save may come again, and those that the
/// app took without asking for the next event: an app that stores them tells by thread and number.
///
/// Built and tested on Linux. It uses nothing that Apple's platforms lack, but is untested there.
public actor MessagingClient {
    /// What happens, for one consumer. Ends when `run` ends.
    public nonisolated let events: AsyncStream<ClientEvent>

    let configuration: ClientConfiguration
    let token: Sealed<String>
    let web: WebAPI
    let store: StateStore
    let security: LiveSecurity
    let eventBuffer: EventBuffer
    let waiters = Waiters()

    var state: SavedState
    /// The last state of which the app has dealt with all events: what is saved.
    var settled: SavedState
    /// A later state, and how many events have to be dealt with until it is settled.
    var unsettled: (state: SavedState, events: Int)?
    var outbox: Outbox
    /// Open and welcomed; nil in between.
    var connection: LiveConnection?
    var user: User.ID?
    /// Threads with a hole that may be an own message whose answer is still to come.
    var suspects: Set<MessageThread.ID> = []
    var ownMessages = OwnMessages()
    /// Receipts to be sent: at the end of a batch, or when there is a connection again.
    var marks: [MessageThread.ID: (delivered: EntryNumber?, read: EntryNumber?)] = [:]
    var lastSave = ContinuousClock.now
    private var isStarted = false

    /// - Parameters:
    ///   - token: of an earlier log-in (`MessagingClient.logIn`).
    ///   - store: where the outbox and the place in the log are kept over restarts.
    public init(configuration: ClientConfiguration, token: String, store: StateStore = .memory) throws {
        self.configuration = configuration
        self.token = Sealed(token)
        self.store = store
        security = try LiveSecurity(configuration)
        web = try WebAPI(configuration)
        state = try store.load()
        settled = state
        outbox = Outbox(
            limit: max(configuration.outboxLimit, state.outbox.count), window: configuration.sendWindow)
        var unsendable: [(Outbox.Item, MessagingError)] = []
        for item in state.outbox {
            do throws(DraftRejection) {
                try MessageLimits().check(text: item.text.open)
                _ = outbox.add(item)
            } catch {
                unsendable.append((item, MessagingError(error)))
            }
        }
        state.outbox = []
        settled = state
        suspects = Set(state.progress.filter { $0.value.hole != nil }.keys)
        let buffer = EventBuffer(limit: configuration.eventLimit)
        eventBuffer = buffer
        events = AsyncStream { await buffer.next() }
        for (item, error) in unsendable {
            buffer.push(.refused(MessageID(item.id), in: ThreadID(item.thread), error))
        }
    }

    /// Logs in and gives the token to make a client with.
    /// - Parameter customer: needed only where two customers have the same log-in name.
    public static func logIn(
        _ login: String, password: String, customer: String? = nil, deviceName: String,
        configuration: ClientConfiguration
    ) async throws -> LogIn {
        let web = try WebAPI(configuration)
        return try await web.logIn(
            customer: customer, login: login, password: Sealed(password), deviceName: deviceName)
    }

    /// Stays connected until cancelled. Throws `MessagingError` when the session is void, else
    /// `CancellationError`.
    ///
    /// Call it once. When it ends, callers waiting in `send` are let go with the same error; their messages
    /// stay in the outbox and in the store.
    public func run() async throws {
        guard !isStarted else { throw MessagingError(.outOfOrder, "The client runs, or has run, already.") }
        isStarted = true
        do {
            try await stayConnected()
        } catch {
            connection?.close()
            connection = nil
            outbox.connectionLost()
            settle()
            saveQuietly()
            waiters.finishAll(with: error)
            eventBuffer.finish()
            throw error
        }
    }

    /// Sends a message and waits until it is stored for good.
    ///
    /// Throws `MessagingError` when it is refused. When the waiting task is cancelled, the message stays in
    /// the outbox.
    public func send(
        _ text: String, in thread: ThreadID, priority: MessagePriority = .normal
    ) async throws -> StoredReceipt {
        let (id, waiters) = (Self.newID(), waiters)
        waiters.expect(id)
        do {
            try enqueue(text, in: thread, priority: priority, id: id)
        } catch {
            waiters.forget(id)
            throw error
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiters.add($0, for: id) }
        } onCancel: {
            waiters.finish(id, with: .failure(CancellationError()))
        }
    }

    /// Puts a message into the outbox; an event `stored` or `refused` with the id follows when it was
    /// answered.
    ///
    /// When this returns, the message is in the store. Throws `MessagingError` for a text that no server
    /// would take and when the outbox is full, and whatever the store throws.
    @discardableResult
    public func enqueue(
        _ text: String, in thread: ThreadID, priority: MessagePriority = .normal
    ) throws -> MessageID {
        try enqueue(text, in: thread, priority: priority, id: Self.newID())
    }

    /// As above, with an id of the caller's, who can note it before anything is heard of the message.
    @discardableResult
    package func enqueue(
        _ text: String, in thread: ThreadID, priority: MessagePriority = .normal, id: ClientID
    ) throws -> MessageID {
        do throws(DraftRejection) {
            try MessageLimits().check(text: text)
        } catch {
            throw MessagingError(error)
        }
        let item = Outbox.Item(id: id, thread: thread.id, text: Sealed(text), priority: priority.domain)
        guard outbox.add(item) else {
            throw MessagingError(
                code: MessagingError.outboxFullCode,
                message: "\(outbox.limit) messages wait to be sent already; wait until some are.")
        }
        do {
            try save()
        } catch {
            outbox.removeLast()
            throw error
        }
        sendWaiting()
        return MessageID(id)
    }

    /// How many messages wait for their answer.
    public var waitingMessages: Int { outbox.count }

    /// Notes that a person has read a thread up to this number; sent now, or when there is a connection
    /// again.
    public func markRead(_ thread: ThreadID, upTo number: Int64) {
        let read = max(number, marks[thread.id]?.read ?? 0)
        marks[thread.id] = (marks[thread.id]?.delivered, read)
        sendMarks()
    }

    private func stayConnected() async throws {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var attempt = 0
        while true {
            try Task.checkCancellation()
            let address = configuration.addresses[attempt % configuration.addresses.count]
            attempt += 1
            let end = await session(at: address)
            configuration.observe?(.ended(at: address, reason: end.reason))
            if end.wasGood { backoff.reset() }
            if let error = end.fatal { throw error }
            if end.isMoving { continue }
            let pause = max(backoff.next(using: &generator), end.retryAfter)
            eventBuffer.push(.disconnected(reason: end.reason, retryIn: pause))
            try await configuration.pause(pause)
        }
    }

    /// A new id for a message.
    package static func newID() -> ClientID { .timeOrdered(milliseconds: unixMilliseconds()) }

    private static func unixMilliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
    }
}

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension MessagingError {
    /// The error for a text that no server would take.
    init(_ rejection: DraftRejection) {
        switch rejection {
        case .empty: self.init(.empty, "The message is empty.")
        case .tooLarge(let limit):
            self.init(.tooLarge, "The message is too long: at most \(limit) bytes of UTF-8 are allowed.")
        case .lineBreakInSubject: self.init(.badRequest, "A subject must be one line.")
        case .tooManyParticipants(let limit):
            self.init(.badRequest, "At most \(limit) participants are allowed.")
        }
    }
}
