import Domain

/// What a history says in figures: how many of each outcome, and how long until everybody had what was promised.
struct HistorySummary: Hashable, Sendable, CustomStringConvertible {
    var acknowledged = 0
    var refused = 0
    /// Of unknown outcome, and there in the end.
    var recovered = 0
    /// Of unknown outcome, and not there in the end.
    var absent = 0
    /// From the acknowledgement until the last of those connected had it; zero where they had it before.
    var latencies: [Duration] = []

    init(_ history: DeliveryHistory) {
        let stored = Set(history.views.flatMap { $0.lines.compactMap(\.id) })
        var seen: [ClientID: ContinuousClock.Instant] = [:]
        for stream in history.streams {
            for (line, at) in zip(stream.lines, stream.arrivals) {
                if let id = line.id { seen[id] = max(seen[id] ?? at, at) }
            }
        }
        for send in history.sends {
            switch send.outcome {
            case .acknowledged:
                acknowledged += 1
                if let at = seen[send.id] { latencies.append(max(.zero, at - send.answered)) }
            case .refused: refused += 1
            case .unknown: if stored.contains(send.id) { recovered += 1 } else { absent += 1 }
            }
        }
        latencies.sort()
    }

    /// The latency that so many of a hundred keep; nil when nothing was measured.
    func latency(percentile: Int) -> Duration? {
        latencies.isEmpty ? nil : latencies[min(latencies.count - 1, latencies.count * percentile / 100)]
    }

    var description: String {
        let times = [50, 99, 100].map { percentile in
            latency(percentile: percentile).map { "\($0 / .milliseconds(1)) ms" } ?? "-"
        }
        return """
            \(acknowledged) acknowledged, \(refused) refused, \(recovered + absent) unknown \
            (\(recovered) recovered, \(absent) absent); from ack to visible p50 \(times[0]), p99 \(times[1]), \
            max \(times[2])
            """
    }
}
