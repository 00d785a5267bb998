import Foundation
package import Logging
import PostgresDatabase
package import SQLDatabase
import SQLiteDatabase
import Testing

/// The engines every storage test runs on.
package enum TestEngine: CaseIterable, Sendable, CustomTestStringConvertible {
    case postgres
    case sqlite

    package var testDescription: String { "\(self)" }
}

/// A logger for tests, which say what they need in their own words.
package let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs the body on a new, empty database, and closes and removes it after.
@discardableResult
package func withDatabase<T: Sendable>(
    on engine: TestEngine, _ body: (any SQLDatabase) async throws -> T
) async throws -> T {
    switch engine {
    case .postgres:
        let url = try await PostgresServer.shared().createDatabase()
        let database = try PostgresDatabase(url: url, logger: quietLogger)
        return try await closing(database, body)
    case .sqlite:
        return try await withTemporaryFolder { folder in
            try await closing(SQLiteDatabase(path: folder + "/test.sqlite", logger: quietLogger), body)
        }
    }
}

/// Runs the body with the path of a new folder, and removes it after.
@discardableResult
package func withTemporaryFolder<T: Sendable>(_ body: (String) async throws -> T) async throws -> T {
    let folder = NSTemporaryDirectory() + "asm-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}

private func closing<T: Sendable>(
    _ database: any SQLDatabase, _ body: (any SQLDatabase) async throws -> T
) async throws -> T {
    do {
        let value = try await body(database)
        await database.close()
        return value
    } catch {
        await database.close()
        throw error
    }
}
