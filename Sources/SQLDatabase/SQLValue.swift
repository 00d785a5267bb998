/// One value that goes into a statement as a bind or comes out of it in a column.
///
/// The last four are whole arrays bound as one value (`int8[]`, `text[]`, `bytea[]`); only PostgreSQL takes them.
package enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
    case integers([Int64])
    case texts([String])
    case blobs([[UInt8]])
    /// A `bytea[]` whose elements are the UTF-8 of these strings, without a copy to `[UInt8]` first.
    case textBlobs([String])
}

/// A type whose values may be interpolated into `SQL`, where each becomes a bind.
package protocol SQLBindable: Sendable {
    var sqlValue: SQLValue { get }
}

/// A type whose arrays are bound as one value.
package protocol SQLArrayElement: Sendable {
    static func sqlValue(of elements: [Self]) -> SQLValue
}

extension SQLValue: SQLBindable {
    package var sqlValue: SQLValue { self }
}

extension Int64: SQLBindable, SQLArrayElement {
    package var sqlValue: SQLValue { .integer(self) }
    package static func sqlValue(of elements: [Int64]) -> SQLValue { .integers(elements) }
}

extension Int: SQLBindable {
    package var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension Int32: SQLBindable {
    package var sqlValue: SQLValue { .integer(Int64(self)) }
}

/// Stored as the integers 0 and 1: neither engine's own boolean is portable.
extension Bool: SQLBindable {
    package var sqlValue: SQLValue { .integer(self ? 1 : 0) }
}

extension Double: SQLBindable {
    package var sqlValue: SQLValue { .real(self) }
}

extension String: SQLBindable, SQLArrayElement {
    package var sqlValue: SQLValue { .text(self) }
    package static func sqlValue(of elements: [String]) -> SQLValue { .texts(elements) }
}

/// An array of bytes is one blob, not an array bind.
extension UInt8: SQLArrayElement {
    package static func sqlValue(of elements: [UInt8]) -> SQLValue { .blob(elements) }
}

extension Array: SQLArrayElement where Element == UInt8 {
    package static func sqlValue(of elements: [[UInt8]]) -> SQLValue { .blobs(elements) }
}

extension Array: SQLBindable where Element: SQLArrayElement {
    package var sqlValue: SQLValue { Element.sqlValue(of: self) }
}

extension Optional: SQLBindable where Wrapped: SQLBindable {
    package var sqlValue: SQLValue { self?.sqlValue ?? .null }
}
