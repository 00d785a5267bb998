import Synchronization

/// Lets somebody end a drill before its time: it stops sending, and reports what it has measured.
package final class EarlyEnd: Sendable {
    /// Thrown to whoever was still at work when its time after the asking was up.
    struct Cut: Error, CustomStringConvertible {
        let description = "the drill was stopped"
    }

    private static let lookEvery = Duration.milliseconds(20)

    private let asked = Mutex<ContinuousClock.Instant?>(nil)

    package init() {}

    /// Asks the drill to end; to ask again changes nothing.
    package func ask() { asked.withLock { $0 = $0 ?? .now } }

    var isAsked: Bool { asked.withLock { $0 != nil } }

    /// Lets work take its time, but once the end is asked for only so much longer: then throws `Cut`.
    func bound<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask { try await work() }
            tasks.addTask { [self] in
                while true {
                    if let asked = asked.withLock(\.self), .now >= asked + limit { return nil }
                    try await Task.sleep(for: Self.lookEvery)
                }
            }
            defer { tasks.cancelAll() }
            guard let first = try await tasks.next(), let value = first else { throw Cut() }
            return value
        }
    }
}
