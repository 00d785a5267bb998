/// Counts of times in buckets that grow with the time, each within 1/32 of its value; recording allocates
/// nothing.
package struct Histogram: Sendable {
    private static let subBits = 5
    private static let subBuckets = 1 << subBits

    private var buckets = [UInt64](repeating: 0, count: (64 - subBits + 1) * subBuckets)
    package private(set) var count: UInt64 = 0
    package private(set) var largest: UInt64 = 0

    package init() {}

    /// - Parameter value: any unit; here nanoseconds.
    package mutating func record(_ value: UInt64) {
        buckets[Self.index(of: value)] += 1
        count += 1
        largest = max(largest, value)
    }

    package mutating func add(_ other: Histogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        count += other.count
        largest = max(largest, other.largest)
    }

    /// The value that this share of all is not above; zero without values.
    /// - Parameter share: 0.5 for the median, 0.99 for p99.
    package func quantile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let wanted = max(1, UInt64((share * Double(count)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, bucket) in buckets.enumerated() {
            seen += bucket
            if seen >= wanted { return min(Self.upperBound(of: index), largest) }
        }
        return largest
    }

    private static func index(of value: UInt64) -> Int {
        guard value >= UInt64(subBuckets) else { return Int(value) }
        let shift = 63 - value.leadingZeroBitCount - subBits
        return (shift + 1) * subBuckets + Int(value >> UInt64(shift)) - subBuckets
    }

    private static func upperBound(of index: Int) -> UInt64 {
        guard index >= subBuckets else { return UInt64(index) }
        let shift = index / subBuckets - 1
        let sub = UInt64(index % subBuckets + subBuckets)
        return (sub << UInt64(shift)) + ((1 << UInt64(shift)) - 1)
    }
}
