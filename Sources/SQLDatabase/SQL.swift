/// A statement: text written in the code, and values that travel beside it as binds.
///
/// Interpolating a value makes a bind, never text, so nothing a user typed can become SQL:
/// ```swift
/// "UPDATE thread SET subject = \(subject), at = \(.now) WHERE id \(in: ids)"
/// ```
/// The same statement renders for either engine (`$1` or `?`). Write the subset both speak; columns are bigint,
/// smallint, integer, text, blob/bytea and double precision, and every time is Int64 microseconds since 1970 UTC.
package struct SQL: Sendable, ExpressibleByStringInterpolation {
    enum Part: Sendable {
        case text(String)
        case bind(SQLValue)
        case function(SQLFunction)
        case inIntegers([Int64])
    }

    private(set) var parts: [Part]

    package init(stringLiteral text: StaticString) { parts = [.text(text.description)] }

    package init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }

    package static func + (left: SQL, right: SQL) -> SQL {
        var sum = left
        sum.append(right)
        return sum
    }

    package mutating func append(_ other: SQL) { parts.append(contentsOf: other.parts) }
}

/// What each engine spells in its own way.
package enum SQLFunction: Sendable {
    /// The database's clock, as a bigint of microseconds since 1970 UTC (SQLite: to the millisecond).
    case now
}

extension SQL {
    package struct StringInterpolation: StringInterpolationProtocol {
        var parts: [Part] = []

        package init(literalCapacity: Int, interpolationCount: Int) {
            parts.reserveCapacity(2 * interpolationCount + 1)
        }

        package mutating func appendLiteral(_ text: StaticString) {
            if text.utf8CodeUnitCount > 0 { parts.append(.text(text.description)) }
        }

        /// A value becomes a bind.
        package mutating func appendInterpolation(_ value: some SQLBindable) {
            parts.append(.bind(value.sqlValue))
        }

        /// A value or null becomes a bind.
        package mutating func appendInterpolation(_ value: (some SQLBindable)?) {
            parts.append(.bind(value.sqlValue))
        }

        /// `\(.now)`: the database's clock.
        package mutating func appendInterpolation(_ function: SQLFunction) {
            parts.append(.function(function))
        }

        /// `column \(in: ids)`: the column is one of these; an empty list matches nothing.
        package mutating func appendInterpolation(in values: [Int64]) {
            parts.append(.inIntegers(values))
        }

        /// Another statement's parts, in place.
        package mutating func appendInterpolation(sql: SQL) {
            parts.append(contentsOf: sql.parts)
        }

        /// Text known when the code was compiled, such as a column list; never input.
        package mutating func appendInterpolation(raw text: StaticString) {
            parts.append(.text(text.description))
        }
    }
}

extension SQL {
    /// The statement as one engine takes it.
    package struct Rendered: Sendable {
        package var text: String
        package var binds: [SQLValue]
    }

    package func rendered(for engine: SQLEngine) -> Rendered {
        var text = ""
        var binds: [SQLValue] = []
        text.reserveCapacity(512)
        binds.reserveCapacity(parts.count / 2 + 1)
        for part in parts {
            switch part {
            case .text(let piece):
                text += piece
            case .bind(let value):
                binds.append(value)
                text += engine.placeholder(binds.count)
            case .function(.now):
                text += engine.now
            case .inIntegers(let values):
                binds.append(engine.listBind(values))
                text += engine.inList(binds.count)
            }
        }
        return Rendered(text: text, binds: binds)
    }
}

extension SQLEngine {
    fileprivate func placeholder(_ number: Int) -> String {
        switch self {
        case .postgres: "$\(number)"
        case .sqlite: "?"
        }
    }

    fileprivate var now: String {
        switch self {
        case .postgres: "(extract(epoch from clock_timestamp())*1000000)::int8"
        case .sqlite: "(CAST(round((julianday('now')-2440587.5)*86400000) AS integer)*1000)"
        }
    }

    /// One bind whatever the length of the list, so that the statement's text, and with it its plan, stays the same.
    fileprivate func inList(_ number: Int) -> String {
        switch self {
        case .postgres: "= ANY($\(number))"
        case .sqlite: "IN (SELECT value FROM json_each(?))"
        }
    }

    fileprivate func listBind(_ values: [Int64]) -> SQLValue {
        switch self {
        case .postgres: .integers(values)
        case .sqlite: .text("[" + values.map(String.init).joined(separator: ",") + "]")
        }
    }
}
