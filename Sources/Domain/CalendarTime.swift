/// A moment as a calendar and a clock show it in UTC, written the way logs and e-mails want it.
package struct CalendarTime: Sendable, Hashable {
    package let year: Int
    package let month: Int
    package let day: Int
    package let hour: Int
    package let minute: Int
    package let second: Int
    /// 0 is Sunday.
    package let weekday: Int

    package init(_ timestamp: Timestamp) {
        let seconds = Int(timestamp.microseconds.flooredDivision(by: 1_000_000))
        let days = seconds.flooredDivision(by: 86_400)
        let inDay = seconds - days * 86_400
        (hour, minute, second) = (inDay / 3_600, inDay / 60 % 60, inDay % 60)
        weekday = (days + 4) - (days + 4).flooredDivision(by: 7) * 7
        // Years of this count begin in March, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted.flooredDivision(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// `2026-11-24 13:05:09 UTC`
    package var text: String {
        "\(year.padded(4))-\(month.padded(2))-\(day.padded(2)) \(clock) UTC"
    }

    /// `2026-11-24T13:05:09Z` (ISO 8601)
    package var iso8601: String {
        "\(year.padded(4))-\(month.padded(2))-\(day.padded(2))T\(clock)Z"
    }

    /// `Tue, 24 Nov 2026 13:05:09 +0000` (RFC 5322)
    package var rfc5322: String {
        "\(Self.weekdays[weekday]), \(day.padded(2)) \(Self.months[month - 1]) \(year.padded(4)) \(clock) +0000"
    }

    private var clock: String { "\(hour.padded(2)):\(minute.padded(2)):\(second.padded(2))" }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}

extension BinaryInteger {
    /// Division that rounds down, for moments before 1970 too.
    fileprivate func flooredDivision(by divisor: Self) -> Self {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }

    fileprivate func padded(_ width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
