import Synchronization

/// Events on their way to the app: bounded, for one consumer.
///
/// At the limit everything that waits is replaced by one `fellBehind`: an app that is told that it missed
/// something loads the present state, which is always better than a queue of the past.
final class EventBuffer: Sendable {
    fileprivate struct State {
        var events: [ClientEvent] = []
        var taken = 0
        var isFinished = false
        /// How many events ever came, and how many of these the app was given or told that it missed.
        var pushed = 0
        var given = 0
        /// How many were given when the app last asked for another: it is done with these.
        var handled = 0
        var waiter: CheckedContinuation<ClientEvent?, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// How many events ever came.
    var pushed: Int { state.withLock(\.pushed) }

    /// Whether the app has dealt with so many events: it was given them and has asked for another since.
    func isHandled(upTo count: Int) -> Bool { state.withLock { $0.handled >= count } }

    func push(_ event: ClientEvent) {
        let waiter = state.withLock { state -> CheckedContinuation<ClientEvent?, Never>? in
            guard !state.isFinished else { return nil }
            state.pushed += 1
            if let waiter = state.waiter {
                state.waiter = nil
                state.given = state.pushed
                return waiter
            }
            if state.events.count - state.taken >= limit {
                state.events = [.fellBehind]
                state.taken = 0
            }
            state.events.append(event)
            return nil
        }
        waiter?.resume(returning: event)
    }

    /// Ends the stream after what waits.
    func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    /// The next event; nil at the end and when the caller is cancelled.
    func next() async -> ClientEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> ClientEvent?? in
                    state.handled = state.given
                    if let event = state.take() { return event }
                    if state.isFinished || Task.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }
}

extension EventBuffer.State {
    fileprivate mutating func take() -> ClientEvent? {
        guard taken < events.count else { return nil }
        defer {
            taken += 1
            given = pushed - (events.count - taken)
            if taken == events.count {
                events.removeAll(keepingCapacity: true)
                taken = 0
            }
        }
        return events[taken]
    }
}
