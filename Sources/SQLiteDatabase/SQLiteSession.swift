import Foundation
import GRDB
import SQLDatabase

import struct SQLDatabase.SQL

/// Statements on one connection, prepared once per text and connection.
struct SQLiteSession: SQLSession {
    private let database: Database

    init(_ database: Database) { self.database = database }

    func run(_ sql: SQL) throws -> SQLResult {
        try run(sql.rendered(for: .sqlite))
    }

    func run(_ rendered: SQL.Rendered) throws -> SQLResult {
        try mappingErrors {
            let statement = try database.cachedStatement(sql: rendered.text)
            let arguments = try StatementArguments(rendered.binds.map(databaseValue))
            guard statement.columnCount > 0 else {
                try statement.execute(arguments: arguments)
                return SQLResult(columns: [], values: [], affectedRows: database.changesCount)
            }
            try statement.setArguments(arguments)
            let width = statement.columnCount
            var values: [SQLValue] = []
            let rows = try Row.fetchCursor(statement)
            while let row = try rows.next() {
                for column in 0..<width { values.append(sqlValue(row[column])) }
            }
            return SQLResult(
                columns: statement.columnNames, values: values,
                affectedRows: statement.isReadonly ? 0 : database.changesCount)
        }
    }

    func runScript(_ text: String) throws {
        try mappingErrors { try database.execute(sql: text) }
    }
}

private func databaseValue(_ value: SQLValue) throws -> DatabaseValue {
    switch value {
    case .null: .null
    case .integer(let value): value.databaseValue
    case .real(let value): value.databaseValue
    case .text(let value): value.databaseValue
    case .blob(let value): Data(value).databaseValue
    case .integers, .texts, .blobs, .textBlobs:
        throw SQLError.statement(code: "SQLITE-1", message: "SQLite takes no arrays as binds")
    }
}

private func sqlValue(_ value: DatabaseValue) -> SQLValue {
    switch value.storage {
    case .null: .null
    case .int64(let value): .integer(value)
    case .double(let value): .real(value)
    case .string(let value): .text(value)
    case .blob(let value): .blob([UInt8](value))
    }
}

/// Turns SQLite's errors into the seam's; they never carry binds.
func mappingErrors<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as DatabaseError { throw sqlError(error) }
}

func mappingErrors<T>(_ body: () async throws -> T) async throws -> T {
    do { return try await body() } catch let error as DatabaseError { throw sqlError(error) }
}

private func sqlError(_ error: DatabaseError) -> SQLError {
    let message = error.message ?? "SQLite refused the statement"
    switch error.resultCode {
    case .SQLITE_CONSTRAINT:
        let name = message.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? message
        return .constraint(name: name, message: message)
    case .SQLITE_READONLY, .SQLITE_PERM: return .readOnly(message)
    case .SQLITE_FULL: return .diskFull(message)
    case .SQLITE_BUSY: return .overloaded("another program holds the database file: \(message)")
    case .SQLITE_IOERR:
        // After a restart the write may be there or not, and nothing that follows it proves anything.
        return .unknownOutcome("the disk failed (\(message)); stop the process and check the disk")
    default:
        return .statement(code: "SQLITE-\(error.extendedResultCode.rawValue)", message: message)
    }
}
