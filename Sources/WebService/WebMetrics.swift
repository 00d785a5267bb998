import Domain
import Observability
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a Web Service counts.
final class WebMetrics: Sendable {
    let registry: MetricRegistry
    let liveClients: Gauge
    let framesIn: Counter
    let framesOut: Counter
    let slowReaders: Counter
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
        text += "# HELP process_cpu_seconds_total CPU time of the process, user and system.\n"
        text += "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total \(Self.cpuSeconds)\n"
        if let bytes = Self.residentBytes {
            text += "# HELP process_resident_memory_bytes Resident memory of the process.\n"
            text += "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes \(bytes)\n"
        }
        return text
    }

    private static var cpuSeconds: Double {
        var usage = rusage()
        #if canImport(Glibc)
            guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        #else
            guard getrusage(RUSAGE_SELF, &usage) == 0 else { return 0 }
        #endif
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let microseconds = Int(usage.ru_utime.tv_usec) + Int(usage.ru_stime.tv_usec)
        return Double(seconds) + Double(microseconds) / 1_000_000
    }

    /// From `/proc`, so only on Linux.
    private static var residentBytes: Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let fields = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
