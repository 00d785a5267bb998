import Domain
import NIOCore
import NIOPosix

/// How one connection's time ended, and what to do next.
struct SessionEnd {
    var reason: String
    /// When the server said `welcome`.
    var welcomedAt: ContinuousClock.Instant?
    /// The server closed the connection because of what this client sent.
    var isOwnFault = false
    /// The server asked to move: connect elsewhere at once.
    var isMoving = false
    var retryAfter = Duration.zero
    /// Nothing but the app can help.
    var fatal: (any Error)?

    /// Whether the next failure is the first again. A server that takes a client and soon sends it away is not tried
    /// ten times a second.
    var wasGood: Bool {
        guard let welcomedAt, !isOwnFault else { return false }
        return welcomedAt.duration(to: .now) >= Self.goodTime
    }

    /// How long a session must have lasted for that.
    private static let goodTime = Duration.seconds(1)
}

extension MessagingClient {
    /// Connects, says hello, and follows what comes until the connection ends.
    func session(at address: WebAddress) async -> SessionEnd {
        var end = SessionEnd(reason: "")
        do {
            let queue = FrameQueue()
            let hello = ClientFrame.hello(token: token, cursor: state.cursor)
            let configuration = configuration
            let live = try await LiveConnection.connect(
                to: address, on: MultiThreadedEventLoopGroup.singleton.next(), security: security
            ) { LiveLink(queue: queue, hello: hello, configuration: configuration) }
            defer {
                live.close()
                connection = nil
                outbox.connectionLost()
                settle()
                saveQuietly()
            }
            while end.reason.isEmpty {
                let signals = await queue.next()
                if signals.count >= FrameQueue.limit { live.setReading(true) }
                guard !signals.isEmpty else { throw CancellationError() }
                for signal in signals where end.reason.isEmpty {
                    try await take(signal, from: live, at: address, queue: queue, end: &end)
                }
                sendMarks()
                sendWaiting()
                settle()
                saveNowAndThen()
            }
        } catch let error as CancellationError {
            end.fatal = error
        } catch {
            if (error as? MessagingError)?.needsLogIn == true { end.fatal = error }
            let asked = Backoff.asked(milliseconds: (error as? MessagingError)?.retryAfterMilliseconds)
            end.retryAfter = max(end.retryAfter, asked)
            end.reason = ConnectionProblem.text(error, at: address)
        }
        return end
    }

    private func take(
        _ signal: FrameQueue.Signal, from live: LiveConnection, at address: WebAddress, queue: FrameQueue,
        end: inout SessionEnd
    ) async throws {
        if case .frame(let frame) = signal { configuration.observe?(.frame(frame, from: address)) }
        switch signal {
        case .closed(let reason):
            end.reason = "\(reason)"
            if let error = reason.fault { blame(error, &end) }
        case .tick:
            if end.isMoving { end.reason = "the server is going" }
            if !outbox.resume(at: .now), let time = outbox.heldUntil {
                tick(queue, in: max(Backoff.shortest, ContinuousClock.now.duration(to: time)), on: live)
            }
        case .frame(.welcome(let user, _, let cursor, let isResync, let otherLog)):
            end.welcomedAt = .now
            self.user = user
            connection = live
            if configuration.observe != nil { live.send([.route]) }
            eventBuffer.push(.connected(to: address))
            if isResync {
                try await resync(at: cursor, otherLog: otherLog)
            } else if state.cursor == nil {
                state.cursor = cursor
                settled = state
            }
            try await fillSuspects()
        case .frame(.draining(let milliseconds)):
            end.isMoving = true
            tick(queue, in: .milliseconds(milliseconds) * Double.random(in: 0..<0.5), on: live)
        case .frame(.bye(let refusal)):
            end.reason = refusal.message
            end.retryAfter = Backoff.asked(milliseconds: refusal.retryAfterMilliseconds)
            if refusal.code == .unauthenticated { end.fatal = MessagingError(refusal) }
            if [.badFrame, .tooLarge, .notUTF8].contains(refusal.code) {
                blame(MessagingError(refusal), &end)
            }
        case .frame(.refused(let ref?, let refusal)) where Self.isForNow(refusal):
            let isHeld = outbox.isHeld
            let pause = max(Backoff.shortest, Backoff.asked(milliseconds: refusal.retryAfterMilliseconds))
            guard let item = outbox.postpone(ref: ref, until: .now + pause) else { return }
            configuration.observe?(.postponed(item.id))
            guard !isHeld else { return }
            tick(queue, in: pause, on: live)
        case .frame(let frame): try await take(frame)
        }
    }

    private func take(_ frame: ServerFrame) async throws {
        switch frame {
        case .ack(let ref, let position, let number, let at):
            let receipt = StoredReceipt(position: position, number: number, atMilliseconds: at.milliseconds)
            try await stored(ref, receipt)
        case .refused(let ref?, let refusal):
            guard let item = outbox.finish(ref: ref) else { return }
            refused(item, MessagingError(refusal))
            try await fillSuspects()
        case .entries(let cursor, let entries): try await take(entries, cursor: cursor)
        case .receipts(let frame):
            let marks = frame.receipts.map {
                ReadingMark(user: UserID($0.user), delivered: $0.delivered, read: $0.read)
            }
            eventBuffer.push(
                .marks(
                    thread: ThreadID(frame.thread), marks: marks, atMilliseconds: frame.at.milliseconds))
            state.cursor = frame.cursor
        case .resync(let cursor, let otherLog): try await resync(at: cursor, otherLog: otherLog)
        case .refused, .pong, .route, .unknown, .welcome, .draining, .bye: break
        }
    }

    private func stored(_ ref: FrameRef, _ receipt: StoredReceipt) async throws {
        guard let item = outbox.finish(ref: ref) else { return }
        configuration.observe?(.stored(item.id, receipt))
        ownMessages.note(item.id, in: item.thread, number: receipt.number)
        if state.progress[item.thread] == nil {
            state.progress[item.thread] = ThreadProgress(ownMessage: receipt.number)
        } else {
            state.progress[item.thread]?.take(ownMessage: receipt.number)
        }
        eventBuffer.push(.stored(MessageID(item.id), in: ThreadID(item.thread), receipt))
        waiters.finish(item.id, with: .success(receipt))
        try await fillSuspects()
    }

    /// The server closed the connection because of a frame of this client's: no network is at fault.
    private func blame(_ error: MessagingError, _ end: inout SessionEnd) {
        end.isOwnFault = true
        if let item = outbox.blame() { refused(item, error) }
    }

    /// Gives a message up, and says so by its name.
    func refused(_ item: Outbox.Item, _ error: MessagingError) {
        configuration.observe?(.refused(item.id, error))
        eventBuffer.push(.refused(MessageID(item.id), in: ThreadID(item.thread), error))
        waiters.finish(item.id, with: .failure(error))
    }

    /// Whether a message refused like this is to be sent again.
    private static func isForNow(_ refusal: Refusal) -> Bool {
        refusal.code == .unavailable || refusal.code == .tooManyRequests
    }

    private func tick(_ queue: FrameQueue, in time: Duration, on live: LiveConnection) {
        live.channel.eventLoop.scheduleTask(in: .init(time)) { _ = queue.push(.tick) }
    }

    // MARK: Out

    func sendWaiting() {
        guard let connection else { return }
        let frames = outbox.takeFrames()
        if !frames.isEmpty { connection.send(frames.map(ClientFrame.send)) }
    }

    func sendMarks() {
        guard let connection, !marks.isEmpty else { return }
        connection.send(
            marks.map { .receipt(thread: $0.key, delivered: $0.value.delivered, read: $0.value.read) })
        marks = [:]
    }

    // MARK: Keeping

    /// Remembers the state as one to be saved once the app has dealt with all events up to here.
    ///
    /// Only between frames: in the middle of one, entries are noted that the app has yet to be given.
    func settle() {
        guard store.isDurable else { return }
        takeSettled()
        if unsettled == nil { unsettled = (state, eventBuffer.pushed) }
        takeSettled()
    }

    private func takeSettled() {
        guard let waiting = unsettled, eventBuffer.isHandled(upTo: waiting.events) else { return }
        settled = waiting.state
        unsettled = nil
    }

    /// Saves the outbox, and the place in the log up to which the app has everything.
    func save() throws {
        guard store.isDurable else { return }
        takeSettled()
        var saved = settled
        saved.outbox = outbox.items
        try store.save(saved)
        lastSave = .now
    }

    /// Saves the place in the log. Losing it only means to be sent some entries again.
    func saveQuietly() { try? save() }

    private func saveNowAndThen() {
        if lastSave.duration(to: .now) >= configuration.saveInterval { saveQuietly() }
    }
}

extension LiveEnd {
    /// What was wrong with a frame of this client's that made the server close the connection; nil when none did.
    fileprivate var fault: MessagingError? {
        switch self {
        case .closedByServer(code: 1_007):
            MessagingError(
                .notUTF8, "The server closed the connection, because this message is not UTF-8 to it.")
        case .closedByServer(code: 1_009):
            MessagingError(
                .tooLarge, "The server closed the connection, because this message is too large for it.")
        default: nil
        }
    }
}
