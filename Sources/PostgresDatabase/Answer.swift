import CPq
import SQLDatabase

/// One statement's answer as libpq holds it; freed with its last reference.
///
/// @unchecked: libpq no longer touches it, and we only read it.
final class Answer: @unchecked Sendable {
    private let result: OpaquePointer

    init(_ result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    var status: ExecStatusType { PQresultStatus(result) }

    /// What the server calls the command it did, such as `COMMIT`.
    var command: String { PQcmdStatus(result).map { String(cString: $0) } ?? "" }

    var sqlState: String { field(DiagnosticField.sqlState) ?? "" }

    /// The error the server answered with; never with the binds, which its details would name.
    var error: SQLError {
        let code = sqlState
        let message = field(DiagnosticField.message) ?? "PostgreSQL gives no reason"
        return switch (code.prefix(2), code) {
        case ("23", _): .constraint(name: field(DiagnosticField.constraint) ?? code, message: message)
        case ("22", _): .statement(code: code, message: withoutQuotedText(message))
        case (_, "25006"): .readOnly(message)
        case (_, "53100"): .diskFull(message)
        case ("40", _), (_, "55P03"): .conflict(code: code, message: message)
        // A server that stops may have committed already and only lack the standby's word.
        case (_, "57P01"), (_, "57P02"): .unknownOutcome("\(message) (\(code))")
        // Ended before it had done anything: it took longer than a read may, or an administrator cancelled it.
        case (_, "57014"): .overloaded("\(message) (\(code))")
        // Too many connections or out of memory, starting: the server, not the statement.
        case ("08", _), ("53", _), ("57", _): .unavailable("\(message) (\(code))")
        default: .statement(code: code, message: message)
        }
    }

    private func field(_ code: Int32) -> String? {
        PQresultErrorField(result, code).map { String(cString: $0) }
    }
}

/// libpq's macros are character literals, which Swift does not import.
enum DiagnosticField {
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let message = Int32(UInt8(ascii: "M"))
    static let constraint = Int32(UInt8(ascii: "n"))
    static let function = Int32(UInt8(ascii: "R"))
}

extension Answer {
    /// The rows, from PostgreSQL's binary format.
    func decoded() throws -> SQLResult {
        let width = Int(PQnfields(result))
        let height = Int(PQntuples(result))
        let affected = Int(String(cString: PQcmdTuples(result))) ?? 0
        let isSelect = command.hasPrefix("SELECT")
        var columns: [String] = []
        var types: [Oid] = []
        for column in 0..<width {
            columns.append(String(cString: PQfname(result, Int32(column))))
            types.append(PQftype(result, Int32(column)))
        }
        var values: [SQLValue] = []
        values.reserveCapacity(width * height)
        for row in 0..<height {
            for column in 0..<width {
                values.append(try value(Int32(row), Int32(column), types[column], columns[column]))
            }
        }
        return SQLResult(columns: columns, values: values, affectedRows: isSelect ? 0 : affected)
    }

    private func value(_ row: Int32, _ column: Int32, _ type: Oid, _ name: String) throws -> SQLValue {
        if PQgetisnull(result, row, column) == 1 { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
        switch type {
        case 20: return .integer(integer(bytes, as: Int64.self))
        case 23: return .integer(Int64(integer(bytes, as: Int32.self)))
        case 21: return .integer(Int64(integer(bytes, as: Int16.self)))
        case 16: return .integer(bytes.first == 1 ? 1 : 0)
        case 17: return .blob([UInt8](bytes))
        case 25, 1043, 19, 1042, 705: return .text(String(decoding: bytes, as: UTF8.self))
        case 701: return .real(Double(bitPattern: integer(bytes, as: UInt64.self)))
        case 700: return .real(Double(Float(bitPattern: integer(bytes, as: UInt32.self))))
        case 2278: return .null
        default:
            throw SQLError.unexpectedValue(
                column: name,
                expected: "a portable type (PostgreSQL type \(type)): cast it, as in sum(…)::int8")
        }
    }

    private func integer<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, as type: T.Type) -> T {
        T(bigEndian: bytes.loadUnaligned(as: type))
    }
}
