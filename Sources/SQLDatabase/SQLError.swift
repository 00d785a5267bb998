/// Why a statement did not answer, told by what the caller can do about it.
///
/// The texts never hold bind values: they may be logged.
package enum SQLError: Error, Sendable, Hashable {
    /// No database that takes writes could be reached; the statement was definitely not executed.
    case unavailable(String)
    /// The statement was sent and its outcome is not known: it may or may not have been committed.
    case unknownOutcome(String)
    /// Too many callers wait for the database, or a read took longer than reads may: the statement has definitely
    /// changed nothing.
    case overloaded(String)
    /// Another transaction was in the way (a deadlock, a lock that took too long): nothing was changed, try again.
    case conflict(code: String, message: String)
    /// A constraint refused the change. The name is the engine's: on SQLite, where it gives one, `table.column`.
    case constraint(name: String, message: String)
    /// The database takes no writes.
    case readOnly(String)
    /// The database's disk is full; nothing was changed.
    case diskFull(String)
    /// Any other refusal. The code is the SQLSTATE on PostgreSQL, `SQLITE-n` (extended result code) on SQLite.
    case statement(code: String, message: String)
    /// A column holds something other than what the code expects.
    case unexpectedValue(column: String, expected: String)
    /// The database cannot be used as configured; the text says what to do.
    case misconfigured(String)
}

extension SQLError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let reason): "database unavailable: \(reason)"
        case .unknownOutcome(let reason): "outcome unknown: \(reason)"
        case .overloaded(let reason): "database overloaded: \(reason)"
        case .conflict(let code, let message): "in the way of another transaction: \(message) (\(code))"
        case .constraint(let name, let message): "constraint \(name): \(message)"
        case .readOnly(let reason): "database is read-only: \(reason)"
        case .diskFull(let reason): "database disk full: \(reason)"
        case .statement(let code, let message): "\(message) (\(code))"
        case .unexpectedValue(let column, let expected): "column \(column) does not hold \(expected)"
        case .misconfigured(let advice): advice
        }
    }
}
