import SQLDatabase
import Testing

/// A database whose answers pass a test's hook before anybody gets them.
final class HookedDatabase: SQLDatabase {
    private let database: any SQLDatabase
    private let answered: @Sendable (String) async -> Void
    private let reconnections = Watched(0)

    /// - Parameter answered: called with each statement's text, or `write` for a transaction, when its answer is there.
    init(_ database: any SQLDatabase, answered: @escaping @Sendable (String) async -> Void) {
        self.database = database
        self.answered = answered
    }

    var engine: SQLEngine { database.engine }
    var connections: Int { database.connections + reconnections.value }

    /// Says that it was connected anew, maybe to another machine.
    func reconnect() { reconnections.change { $0 += 1 } }

    func query(_ sql: SQL) async throws -> SQLResult {
        let result = try await database.query(sql)
        await answered(sql.rendered(for: engine).text)
        return result
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        try await database.read(body)
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        let result = try await database.write(body)
        await answered("write")
        return result
    }

    func notify(channel: String, payload: String) async throws {
        try await database.notify(channel: channel, payload: payload)
    }

    func notifications(on channel: String) -> AsyncStream<String> { database.notifications(on: channel) }
    func run() async throws { try await database.run() }
    func close() async { await database.close() }
}

/// Holds answers back while it is closed, as a process that was stopped finds them when it wakes.
final class AnswerHold: Sendable {
    private let isClosed = Watched(false)
    private let held = Watched(0)

    func close() { isClosed.change { $0 = true } }
    func open() { isClosed.change { $0 = false } }

    /// The hook.
    func pass() async {
        guard isClosed.value else { return }
        held.change { $0 += 1 }
        await isClosed.until { !$0 }
    }

    /// Waits until an answer is held.
    func untilHeld() async { await held.until { $0 > 0 } }
}
