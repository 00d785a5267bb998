import Synchronization
import Testing

/// A value that tests change and wait for.
final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        let isMet: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
    }

    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    func change(_ change: @Sendable (inout Value) -> Void) {
        let met = state.withLock { state in
            change(&state.value)
            let met = state.waiters.filter { $0.value.isMet(state.value) }
            for id in met.keys { state.waiters[id] = nil }
            return met.values.map(\.continuation)
        }
        for continuation in met { continuation.resume(returning: true) }
    }

    /// Waits until the value meets the condition, and records an issue when it does not do so in time.
    func until(
        within limit: Duration = .seconds(15), sourceLocation: SourceLocation = #_sourceLocation,
        _ isMet: @escaping @Sendable (Value) -> Bool
    ) async {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        let timer = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume(returning: false)
        }
        let isInTime = await withCheckedContinuation { continuation in
            let isMetNow = state.withLock { state in
                if isMet(state.value) { return true }
                state.waiters[id] = Waiter(isMet: isMet, continuation: continuation)
                return false
            }
            if isMetNow { continuation.resume(returning: true) }
        }
        timer.cancel()
        if !isInTime {
            Issue.record("not within \(limit); it is \(value)", sourceLocation: sourceLocation)
        }
    }
}

/// Waits for something that cannot be watched.
func eventually(
    _ what: Comment, within limit: Duration = .seconds(15), sourceLocation: SourceLocation = #_sourceLocation,
    _ isMet: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !isMet() {
        guard ContinuousClock.now < end else {
            Issue.record(what, sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}
