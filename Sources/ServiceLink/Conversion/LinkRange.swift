import Domain

/// What the numbers, texts and lists of the link's messages may be: the one place that says so.
///
/// Both ends look at every message before anything else does (`LinkRequest.check`, `LinkResponse.check` and the others), so
/// that what lies behind them never meets a number from outside that it has to be afraid of.
enum LinkRange {
    static let ids: ClosedRange<Int64> = 1...Int64.max
    /// Ids where 0 stands for none.
    static let idsOrNone: ClosedRange<Int64> = 0...Int64.max
    /// Seconds from 1970 to the end of the year 9999.
    static let seconds: ClosedRange<Int64> = 0...253_402_300_799
    /// Amounts that are -1 where they are not known.
    static let amountsOrUnknown: ClosedRange<Int64> = -1...Int64.max
    /// Milliseconds since a server was heard of; below 0 where the database's clock was set back.
    static let silences: ClosedRange<Int64> = -LogRange.last...LogRange.last
    /// How many things a list of a request names at most; what a rule allows lies far below.
    static let listed = 2_000
    /// Names, searches and passwords of a request, in bytes of UTF-8.
    static let nameBytes = 16 << 10
    /// Tokens have 32 bytes.
    static let tokenBytes = 1_024
    /// The longest that a refusal lets somebody wait.
    static let longestRetryMilliseconds: UInt32 = 3_600_000

    static func check(
        _ value: Int64, _ field: StaticString, in range: ClosedRange<Int64>
    ) throws(LinkFault) {
        guard range.contains(value) else {
            throw LinkFault(
                field: field, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
    }

    static func check(name: String, _ field: StaticString) throws(LinkFault) {
        guard name.utf8.count <= nameBytes else {
            throw LinkFault(field: field, expected: "at most \(nameBytes) bytes of UTF-8")
        }
    }

    static func check(ids list: [Int64], _ field: StaticString) throws(LinkFault) {
        try check(count: list.count, field)
        for id in list { try check(id, field, in: ids) }
    }

    static func check(count: Int, _ field: StaticString) throws(LinkFault) {
        guard count <= listed else { throw LinkFault(field: field, expected: "at most \(listed) of them") }
    }
}

/// A field of a message that holds what no sound peer sends.
package struct LinkFault: Error, Sendable, CustomStringConvertible {
    /// The field as link.proto calls it.
    package let field: StaticString
    let expected: String

    package var description: String { "`\(field)` is out of range; expected \(expected)." }
}

extension Refusal {
    /// What a peer is told that sent such a message.
    init(_ fault: LinkFault) { self.init(.badRequest, "\(fault)") }
}

extension UInt32 {
    /// How many things a page holds at most, when a request says how many it wants.
    package func page(atMost limit: Int) -> Int { Swift.max(1, Swift.min(Int(clamping: self), limit)) }
}
