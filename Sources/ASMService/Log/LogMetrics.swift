import Observability

/// What the log counts.
struct LogMetrics: Sendable {
    private let entries: Counter
    private let batch: Histogram
    private let seconds: Histogram
    let followed: Counter
    let delivered: Counter
    let followers: Gauge
    let sessions: Gauge

    init(_ registry: MetricRegistry) {
        entries = registry.counter(.appendedEntries)
        batch = registry.histogram(.appendBatch, bounds: Histogram.sizes)
        seconds = registry.histogram(.appendSeconds)
        followed = registry.counter(.followedEntries)
        delivered = registry.counter(.deliveredEntries)
        followers = registry.gauge(.followers)
        sessions = registry.gauge(.attachedSessions)
    }

    func appended(_ count: Int, in duration: Duration) {
        entries.add(count)
        batch.record(Double(count))
        seconds.record(duration)
    }
}
