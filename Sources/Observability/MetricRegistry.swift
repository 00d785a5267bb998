import Synchronization

/// The metrics of one process: made once by name and labels, counted without locks, rendered as Prometheus
/// text.
package final class MetricRegistry: Sendable {
    /// Labels in the order in which they are rendered.
    package typealias Labels = [(name: String, value: String)]

    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)

        var type: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private let series = Mutex<[Key: (metric: MetricName, series: Series)]>([:])

    package init() {}

    /// The counter of this name and labels, always the same one; keep it rather than ask per event.
    package func counter(_ metric: MetricName, _ labels: Labels = []) -> Counter {
        let found = find(metric, labels, make: { .counter(Counter()) })
        guard case .counter(let counter) = found else { return Counter() }
        return counter
    }

    /// The gauge of this name and labels, always the same one.
    package func gauge(_ metric: MetricName, _ labels: Labels = []) -> Gauge {
        let found = find(metric, labels, make: { .gauge(Gauge()) })
        guard case .gauge(let gauge) = found else { return Gauge() }
        return gauge
    }

    /// Sets the gauges of this name to just these: those with other labels are gone.
    package func replaceGauges(_ metric: MetricName, _ values: [(labels: Labels, value: Int)]) {
        let gauges = values.map { labels, value in
            let gauge = Gauge()
            gauge.set(value)
            return (Key(name: metric.name, labels: Self.text(labels)), gauge)
        }
        series.withLock { series in
            series = series.filter { $0.key.name != metric.name }
            for (key, gauge) in gauges { series[key] = (metric, .gauge(gauge)) }
        }
    }

    /// The histogram of this name and labels, always the same one.
    package func histogram(
        _ metric: MetricName, _ labels: Labels = [], bounds: [Double] = Histogram.durations
    ) -> Histogram {
        let found = find(metric, labels, make: { .histogram(Histogram(bounds: bounds)) })
        guard case .histogram(let histogram) = found else { return Histogram(bounds: bounds) }
        return histogram
    }

    /// The text that Prometheus scrapes (exposition format 0.0.4), sorted by name and labels.
    package func render() -> String {
        let all = series.withLock {
            $0.sorted { ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels) }
        }
        var text = ""
        var last = ""
        for (key, value) in all {
            if key.name != last {
                text += "# HELP \(key.name) \(value.metric.help)\n# TYPE \(key.name) \(value.series.type)\n"
                last = key.name
            }
            switch value.series {
            case .counter(let counter): text += "\(key.name)\(Self.braced(key.labels)) \(counter.value)\n"
            case .gauge(let gauge): text += "\(key.name)\(Self.braced(key.labels)) \(gauge.rendered)\n"
            case .histogram(let histogram): histogram.render(key.name, labels: key.labels, to: &text)
            }
        }
        return text
    }

    private func find(_ metric: MetricName, _ labels: Labels, make: () -> Series) -> Series {
        let text = Self.text(labels)
        return series.withLock { series in
            let key = Key(name: metric.name, labels: text)
            if let found = series[key] { return found.series }
            let new = make()
            series[key] = (metric, new)
            return new
        }
    }

    private static func text(_ labels: Labels) -> String {
        labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
    }

    static func braced(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
        return text
    }
}
