/// How near something is to its limit.
package enum UsageLevel: Int64, Sendable, Hashable, Comparable {
    case normal = 0
    case warning = 1
    case exceeded = 2

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The rule by which every *… Warning* and *… Exceeded* is raised: a warning at a percentage of the limit, exceeded at
/// the limit.
///
/// A level is left only when usage has fallen clearly below it, so that what swings around a limit is told once.
package struct UsageThreshold: Sendable, Hashable {
    /// Percent of the limit that usage must fall below a level's mark before the level is left.
    package static let hysteresisPercent: Int64 = 5

    package var warningPercent: Int64

    package init(warningPercent: Int64 = 80) { self.warningPercent = warningPercent }

    /// The level now; a limit of 0 or less is none.
    package func level(used: Int64, limit: Int64, from previous: UsageLevel) -> UsageLevel {
        guard limit > 0 else { return .normal }
        let percent = Double(used) / Double(limit) * 100
        func mark(_ level: UsageLevel) -> Double {
            let full = level == .exceeded ? 100 : Double(warningPercent)
            return level <= previous ? full - Double(Self.hysteresisPercent) : full
        }
        if previous == .exceeded ? percent > mark(.exceeded) : used >= limit { return .exceeded }
        return percent >= mark(.warning) ? .warning : .normal
    }
}
