import Synchronization
import Testing

/// A value that tests change and wait for.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiting: [(isMet: @Sendable (Value) -> Bool, resume: @Sendable () -> Void)] = []
    }

    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    @discardableResult
    func change<Result: Sendable>(_ change: @Sendable (inout Value) -> Result) -> Result {
        let (result, met) = state.withLock { state in
            let result = change(&state.value)
            let met = state.waiting.filter { $0.isMet(state.value) }.map(\.resume)
            let value = state.value
            state.waiting.removeAll { $0.isMet(value) }
            return (result, met)
        }
        for resume in met { resume() }
        return result
    }

    /// Waits until the value meets the condition.
    func until(_ isMet: @escaping @Sendable (Value) -> Bool) async {
        await withCheckedContinuation { waiting in
            let isMetNow = state.withLock { state in
                if isMet(state.value) { return true }
                state.waiting.append((isMet, { waiting.resume() }))
                return false
            }
            if isMetNow { waiting.resume() }
        }
    }
}

/// Waits for something that cannot be watched; fails after 20 s.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ isMet: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while try await !isMet() {
        guard ContinuousClock.now < end else {
            Issue.record(what, sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
