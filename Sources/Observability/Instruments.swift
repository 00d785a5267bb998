import Synchronization

/// A number that only grows.
package final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    package init() {}

    package func add(_ amount: Int = 1) { count.wrappingAdd(amount, ordering: .relaxed) }

    package var value: Int { count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    /// Rendered as `+Inf`: for limits where there is none.
    package static let unlimited = Int.max

    private let level = Atomic<Int>(0)

    package init() {}

    package func set(_ value: Int) { level.store(value, ordering: .relaxed) }

    package func add(_ amount: Int) { level.wrappingAdd(amount, ordering: .relaxed) }

    package var value: Int { level.load(ordering: .relaxed) }

    var rendered: String { value == Self.unlimited ? "+Inf" : "\(value)" }
}

/// How often values fell below each of a few bounds; durations in seconds unless its name says otherwise.
package final class Histogram: Sendable {
    /// Bounds for durations: 0.5 ms to 10 s.
    package static let durations: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    /// Bounds for sizes and counts: 1 to 4096.
    package static let sizes: [Double] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]

    private final class Bucket: Sendable { let count = Atomic<Int>(0) }

    private let bounds: [Double]
    /// One more than there are bounds: the last takes what is above them all.
    private let buckets: [Bucket]
    /// In millionths, so that it can be added to atomically.
    private let sum = Atomic<Int>(0)

    package init(bounds: [Double]) {
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Bucket() }
    }

    package func record(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        buckets[index].count.wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(Int(value * 1_000_000), ordering: .relaxed)
    }

    package func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        record(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    /// How many values were recorded.
    package var count: Int { buckets.reduce(0) { $0 + $1.count.load(ordering: .relaxed) } }

    func render(_ name: String, labels: String, to text: inout String) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var total = 0
        for (index, bucket) in buckets.enumerated() {
            total += bucket.count.load(ordering: .relaxed)
            let bound = index < bounds.count ? "\(bounds[index])" : "+Inf"
            text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)\n"
        }
        let sum = Double(sum.load(ordering: .relaxed)) / 1_000_000
        text += "\(name)_sum\(MetricRegistry.braced(labels)) \(sum)\n"
        text += "\(name)_count\(MetricRegistry.braced(labels)) \(total)\n"
    }
}
