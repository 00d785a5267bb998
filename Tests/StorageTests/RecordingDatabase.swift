import SQLDatabase
import Synchronization

/// Passes everything on, and keeps the statements.
final class RecordingDatabase: SQLDatabase {
    private let database: any SQLDatabase
    private let kept = Mutex<[SQL]>([])

    init(_ database: any SQLDatabase) { self.database = database }

    var statements: [SQL] { kept.withLock { $0 } }
    func forget() { kept.withLock { $0 = [] } }

    private struct Session: SQLSession {
        let session: any SQLSession
        let keep: (SQL) -> Void

        func run(_ sql: SQL) throws -> SQLResult {
            keep(sql)
            return try session.run(sql)
        }

        func runScript(_ text: String) throws { try session.runScript(text) }
    }

    var engine: SQLEngine { database.engine }

    private func keep(_ sql: SQL) { kept.withLock { $0.append(sql) } }

    func query(_ sql: SQL) async throws -> SQLResult {
        keep(sql)
        return try await database.query(sql)
    }

    func query(_ sql: SQL, on lane: SQLLane) async throws -> SQLResult {
        keep(sql)
        return try await database.query(sql, on: lane)
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        try await database.read { try body(Session(session: $0, keep: self.keep)) }
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        try await database.write { try body(Session(session: $0, keep: self.keep)) }
    }

    func write<T: Sendable>(
        on lane: SQLLane, _ body: @escaping @Sendable (any SQLSession) throws -> T
    ) async throws -> T {
        try await database.write(on: lane) { try body(Session(session: $0, keep: self.keep)) }
    }

    func notify(channel: String, payload: String) async throws {
        try await database.notify(channel: channel, payload: payload)
    }

    func notifications(on channel: String) -> AsyncStream<String> { database.notifications(on: channel) }
    func run() async throws { try await database.run() }
    func close() async { await database.close() }
}
