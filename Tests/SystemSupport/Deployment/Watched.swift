import Synchronization

/// Something that was waited for did not come.
struct NotInTime: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    var description: String { "\(what), but it did not within \(limit)" }
}

/// A value that others can wait for.
final class Watched<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWaiter = 0
    }

    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    @discardableResult
    func update<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
        let (result, waiters) = state.withLock { state in
            let result = change(&state.value)
            return (result, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.yield() }
        return result
    }

    /// Waits until `pick` finds something.
    /// - Parameter what: what should happen, for the error: "the server should start".
    @discardableResult
    func until<Result: Sendable>(
        _ what: String, within limit: Duration = .seconds(30),
        _ pick: @escaping @Sendable (Value) -> Result?
    ) async throws -> Result {
        let (changes, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let waiter = state.withLock { state in
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = continuation
            return state.nextWaiter
        }
        defer { state.withLock { _ = $0.waiters.removeValue(forKey: waiter) } }
        continuation.yield()
        return try await withThrowingTaskGroup(of: Result?.self) { tasks in
            tasks.addTask {
                for await _ in changes {
                    if let result = pick(self.value) { return result }
                }
                return nil
            }
            tasks.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { tasks.cancelAll() }
            guard let first = try await tasks.next(), let result = first else {
                throw NotInTime(what: what, limit: limit)
            }
            return result
        }
    }
}
