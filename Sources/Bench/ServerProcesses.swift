import Foundation

/// The processes of this machine that serve: what each has used, from /proc; empty where there is none.
package struct ServerProcesses: Sendable {
    package struct Usage: Sendable {
        /// What the process is: `asm service`, `postgres`, …
        package let label: String
        package let cpuSeconds: Double
        package let residentBytes: Int64
    }

    /// By process id.
    package private(set) var usages: [Int32: Usage] = [:]
    /// The generator itself.
    package private(set) var ownCPUSeconds = 0.0

    /// Reads the present state.
    package static func now() -> ServerProcesses {
        var processes = ServerProcesses()
        let own = getpid()
        let parent = getppid()
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        // Unreadable entries are processes that are gone by now.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let id = Int32(name), let stat = read("/proc/\(name)/stat"),
                let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")")
            else { continue }
            let command = String(stat[stat.index(after: open)..<close])
            let fields = stat[stat.index(after: close)...].split(separator: " ")
            guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]) else {
                continue
            }
            let seconds = (user + system) / ticks
            if id == own { processes.ownCPUSeconds = seconds }
            guard id != own, id != parent, let label = label(command, id: name) else { continue }
            let pages = Int64(fields[21]) ?? 0
            processes.usages[id] = Usage(
                label: label, cpuSeconds: seconds, residentBytes: pages * Int64(sysconf(Int32(_SC_PAGESIZE))))
        }
        return processes
    }

    /// CPU-seconds used since an earlier state, by label.
    package func cpuSeconds(since earlier: ServerProcesses) -> [String: Double] {
        var seconds: [String: Double] = [:]
        for (id, usage) in usages {
            seconds[usage.label, default: 0] += usage.cpuSeconds - (earlier.usages[id]?.cpuSeconds ?? 0)
        }
        return seconds
    }

    /// The memory of the processes that hold the clients' connections.
    package var webResidentBytes: Int64 {
        usages.values.filter { ["asm web-service", "asm up"].contains($0.label) }.reduce(0) {
            $0 + $1.residentBytes
        }
    }

    private static func label(_ command: String, id: String) -> String? {
        if command.hasPrefix("postgres") { return "postgres" }
        if command == "haproxy" { return "haproxy" }
        guard command == "asm", let line = read("/proc/\(id)/cmdline") else { return nil }
        let arguments = line.split(separator: "\0")
        guard let first = arguments.dropFirst().first, first != "bench" else { return nil }
        return "asm \(first)"
    }

    private static func read(_ path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}

/// Lets this process open as many sockets as it is allowed to at all.
func raiseFileLimit() {
    var limit = rlimit()
    #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        let resource = RLIMIT_NOFILE
    #endif
    guard getrlimit(resource, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(resource, &limit)  // Where it fails, opening a socket too many will say so.
}

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
