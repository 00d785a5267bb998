import Domain
import Observability
import Synchronization

/// What a Web Service counts.
final class WebMetrics: Sendable {
    let registry: MetricRegistry
    let liveClients: Gauge
    let framesIn: Counter
    let framesOut: Counter
    let slowReaders: Counter
    let backlogBytes: Gauge
    let deliveries: Counter
    let httpSeconds: Histogram
    let resyncs = Counter()
    private let refusals: [Refusal.Code: Counter]
    private let requests = Mutex<[Int: Counter]>([:])

    init(registry: MetricRegistry) {
        self.registry = registry
        liveClients = registry.gauge(.liveClients)
        framesIn = registry.counter(.liveFramesIn)
        framesOut = registry.counter(.liveFramesOut)
        slowReaders = registry.counter(.slowReaders)
        backlogBytes = registry.gauge(.backlogBytes)
        deliveries = registry.counter(.deliveredEntries, [("component", "web")])
        httpSeconds = registry.histogram(.httpSeconds)
        refusals = Dictionary(uniqueKeysWithValues: Refusal.Code.allCases.map { ($0, Counter()) })
    }

    func refused(_ code: Refusal.Code) { refusals[code]?.add() }

    /// Counts an answered HTTP request by its status.
    func answered(status: Int) {
        let counter = requests.withLock { requests in
            if let found = requests[status] { return found }
            let new = registry.counter(.httpRequests, [("status", "\(status)")])
            requests[status] = new
            return new
        }
        counter.add()
    }

    /// The page that Prometheus scrapes.
    func render() -> String {
        var text = registry.render()
        text += "# HELP asm_web_live_resyncs_total Slow live clients told to load anew.\n"
        text += "# TYPE asm_web_live_resyncs_total counter\nasm_web_live_resyncs_total \(resyncs.value)\n"
        text += "# HELP asm_web_refusals_total Requests and frames refused, by code.\n"
        text += "# TYPE asm_web_refusals_total counter\n"
        for code in Refusal.Code.allCases {
            text += "asm_web_refusals_total{code=\"\(code.rawValue)\"} \(refusals[code]?.value ?? 0)\n"
        }
        text += ProcessFigures.render()
        return text
    }
}
