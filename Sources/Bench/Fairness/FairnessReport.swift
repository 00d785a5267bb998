import Synthetic

/// What the one who is measured noticed of the attack, and the verdict.
package struct FairnessReport: Sendable {
    /// How much later than when it is quiet an answer may come under attack: so many times, and so much.
    static let allowedFactor = 2.0
    static let allowedMilliseconds = 20.0

    let quiet: FairnessProbe.Times
    let attacked: FairnessProbe.Times
    /// How many answers of each status the attacker got.
    let answers: [String: Int]
    /// Heartbeats that failed under attack; nil when nobody could tell.
    let heartbeatFailures: Int?

    private var rows: [(key: String, title: String, quiet: Histogram, attacked: Histogram)] {
        [
            ("send", "send", quiet.send, attacked.send),
            ("inbox", "inbox", quiet.inbox, attacked.inbox),
            ("logIn", "log-in", quiet.logIn, attacked.logIn),
        ]
    }

    /// What must not be.
    var faults: [String] {
        var faults: [String] = []
        for row in rows {
            let (before, after) = (Self.p99(row.quiet), Self.p99(row.attacked))
            let allowed = Self.allowedFactor * before + Self.allowedMilliseconds
            if row.attacked.count == 0 || row.quiet.count == 0 {
                faults.append("no \(row.title) was measured")
            } else if after >= allowed {
                faults.append(
                    "\(row.title): p99 is \(decimal(after, 1)) ms under attack, \(decimal(allowed, 1)) ms are allowed"
                )
            }
        }
        faults += attacked.failures.map { "under attack: \($0)" } + quiet.failures.map { "quiet: \($0)" }
        if let heartbeatFailures, heartbeatFailures > 0 {
            faults.append("\(heartbeatFailures) heartbeats failed")
        }
        return faults
    }

    private static func p99(_ times: Histogram) -> Double { Double(times.quantile(0.99)) / 1e6 }

    package var report: BenchReport {
        var lines = rows.map { row in
            BenchReport.Line(
                row.key, row.title,
                .group([
                    BenchReport.latencies("quiet", "quiet (\(row.quiet.count))", row.quiet),
                    BenchReport.latencies("attacked", "under attack (\(row.attacked.count))", row.attacked),
                ]))
        }
        lines.append(
            .init(
                "attackersAnswers", "answers to the attacker, by status",
                .group(answers.sorted { $0.key < $1.key }.map { .init($0.key, $0.key, .count($0.value)) })))
        lines.append(
            .init(
                "heartbeatFailures", "heartbeats that failed",
                heartbeatFailures.map { .count($0) } ?? .text("not looked at (give --health)")))
        return BenchReport(lines: lines, faults: faults)
    }
}
