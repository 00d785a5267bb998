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
        var waiter: CheckedContinuation<ClientEvent?, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    func push(_ event: ClientEvent) {
        let waiter = state.withLock { state -> CheckedContinuation<ClientEvent?, Never>? in
            guard !state.isFinished else { return nil }
            if let waiter = state.waiter {
                state.waiter = nil
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
            if taken == events.count {
                events.removeAll(keepingCapacity: true)
                taken = 0
            }
        }
        return events[taken]
    }
}
