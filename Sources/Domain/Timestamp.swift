/// A moment by the database's clock, in microseconds since 1970-01-01 00:00:00 UTC.
package struct Timestamp: Hashable, Sendable, Comparable {
    package let microseconds: Int64

    /// The microseconds from 1970 to the end of the year 9999: what a time that somebody tells can be.
    package static let range: ClosedRange<Int64> = 0...253_402_300_799_999_999

    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// The same moment in whole milliseconds, the unit of the client protocol.
    package var milliseconds: Int64 { microseconds / 1_000 }

    package static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
}

extension Timestamp {
    /// Reads `2026-11-24T13:05:09Z`, or `2026-11-24` for the beginning of that day; nil for anything else.
    package init?(iso8601 text: String) {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count, bytes[range].allSatisfy({ (0x30...0x39).contains($0) })
            else { return nil }
            return bytes[range].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        let marks: [(Int, Character)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "Z")]
        guard bytes.count == 20 || bytes.count == 10,
            marks.allSatisfy({ $0.0 >= bytes.count || bytes[$0.0] == $0.1.asciiValue }),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10)
        else { return nil }
        let time = bytes.count == 10 ? [0, 0, 0] : [number(11..<13), number(14..<16), number(17..<19)]
        guard let hour = time[0], let minute = time[1], let second = time[2], year >= 1970,
            hour < 24, minute < 60, second < 60
        else { return nil }
        // Years of this count begin in March, so that the leap day is the last of its year.
        let shiftedYear = month <= 2 ? year - 1 : year
        let shiftedMonth = month <= 2 ? month + 9 : month - 3
        let days =
            shiftedYear * 365 + shiftedYear / 4 - shiftedYear / 100 + shiftedYear / 400
            + (153 * shiftedMonth + 2) / 5 + day - 1 - 719_468
        self.init(microseconds: (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
        // A day that its month does not have is another day's date.
        guard CalendarTime(self).iso8601.prefix(10) == text.prefix(10) else { return nil }
    }
}
