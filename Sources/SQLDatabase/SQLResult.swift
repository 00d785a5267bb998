/// The rows a statement answered, in order.
///
/// All values lie in one flat array; a row is a view into it.
package struct SQLResult: Sendable {
    package let columns: [String]
    package let rowCount: Int
    /// Rows inserted, updated or deleted; 0 for a statement that only reads.
    package let affectedRows: Int
    private let values: [SQLValue]

    /// - Parameter values: row by row, `columns.count` values each.
    package init(columns: [String], values: [SQLValue], affectedRows: Int) {
        self.columns = columns
        self.values = values
        self.affectedRows = affectedRows
        rowCount = columns.isEmpty ? 0 : values.count / columns.count
    }
}

extension SQLResult: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { rowCount }

    package subscript(row: Int) -> SQLRow {
        SQLRow(columns: columns, values: values, start: row * columns.count)
    }
}

/// One row of a result; columns are addressed by index, in the order the statement names them.
///
/// Every accessor throws `SQLError.unexpectedValue` when the column holds something else or does not exist.
package struct SQLRow: Sendable {
    let columns: [String]
    let values: [SQLValue]
    let start: Int

    package func value(_ column: Int) throws -> SQLValue {
        guard column >= 0, column < columns.count else {
            throw SQLError.unexpectedValue(column: "number \(column)", expected: "a column of the result")
        }
        return values[start + column]
    }

    package func isNull(_ column: Int) throws -> Bool { try value(column) == .null }

    package func int(_ column: Int) throws -> Int64 {
        guard case .integer(let value) = try value(column) else { throw unexpected(column, "an integer") }
        return value
    }

    package func intOrNil(_ column: Int) throws -> Int64? {
        switch try value(column) {
        case .null: nil
        case .integer(let value): value
        default: throw unexpected(column, "an integer or null")
        }
    }

    /// An integer, 0 for false and anything else for true.
    package func bool(_ column: Int) throws -> Bool { try int(column) != 0 }

    /// A double; an integer is converted.
    package func double(_ column: Int) throws -> Double {
        switch try value(column) {
        case .real(let value): value
        case .integer(let value): Double(value)
        default: throw unexpected(column, "a number")
        }
    }

    package func string(_ column: Int) throws -> String {
        guard case .text(let value) = try value(column) else { throw unexpected(column, "text") }
        return value
    }

    package func stringOrNil(_ column: Int) throws -> String? {
        switch try value(column) {
        case .null: nil
        case .text(let value): value
        default: throw unexpected(column, "text or null")
        }
    }

    package func bytes(_ column: Int) throws -> [UInt8] {
        guard case .blob(let value) = try value(column) else { throw unexpected(column, "bytes") }
        return value
    }

    package func bytesOrNil(_ column: Int) throws -> [UInt8]? {
        switch try value(column) {
        case .null: nil
        case .blob(let value): value
        default: throw unexpected(column, "bytes or null")
        }
    }

    /// The text whose UTF-8 the blob holds.
    package func text(ofBlob column: Int) throws -> String {
        guard let text = String(validating: try bytes(column), as: UTF8.self) else {
            throw unexpected(column, "bytes that are UTF-8")
        }
        return text
    }

    private func unexpected(_ column: Int, _ expected: String) -> SQLError {
        .unexpectedValue(column: columns[column], expected: expected)
    }
}
