package import ASMClient
import Dispatch
package import Synthetic

/// Logs in over and over and says how many log-ins a second the servers take.
package struct LogInBench: Sendable {
    let accounts: SyntheticAccounts
    let count: Int
    let concurrency: Int
    let users: Int

    /// - Parameters:
    ///   - count: how many log-ins.
    ///   - concurrency: how many at once, 1 to 256.
    ///   - users: how many users take turns.
    package init(accounts: SyntheticAccounts, count: Int, concurrency: Int, users: Int) throws(MessagingError)
    {
        guard count >= 1, (1...256).contains(concurrency), users >= 1 else {
            throw MessagingError(
                code: "bad-request", message: "There must be log-ins, users, and 1 to 256 log-ins at once.")
        }
        self.accounts = accounts
        self.count = count
        self.concurrency = concurrency
        self.users = users
    }

    package func run() async throws -> BenchReport {
        let before = ServerProcesses.now()
        let start = DispatchTime.now()
        let times = try await concurrently(0..<count, limit: concurrency) { index in
            let start = DispatchTime.now()
            _ = try await accounts.logIn(accounts.login(of: index % users))
            return DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds
        }
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
        let after = ServerProcesses.now()
        var histogram = Histogram()
        for time in times { histogram.record(time) }
        let cpu = after.cpuSeconds(since: before).sorted { $0.key < $1.key }
        return BenchReport(
            lines: [
                .init("logIns", "log-ins", .count(count)),
                .init("logInsPerSecond", "log-ins/s", .number(Double(count) / seconds, digits: 1)),
                BenchReport.latencies("milliseconds", "time of a log-in", histogram),
                .init(
                    "cpuSecondsPerLogIn", "CPU-seconds of a log-in",
                    .group(cpu.map { .init($0.key, $0.key, .number($0.value / Double(count), digits: 4)) })),
            ], faults: [])
    }
}
