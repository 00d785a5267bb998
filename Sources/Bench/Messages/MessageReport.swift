/// The outcome of a load of messages.
package struct MessageReport: Sendable {
    let workload: MessageWorkload
    let result: LoadResult
    let before: ServerProcesses
    let after: ServerProcesses
    /// Acknowledged messages that are not in a recipient's history.
    package internal(set) var lost = 0
    /// Acknowledged messages that are in the history and did not come live.
    package internal(set) var lostLive = 0

    init(workload: MessageWorkload, result: LoadResult, before: ServerProcesses, after: ServerProcesses) {
        self.workload = workload
        self.result = result
        self.before = before
        self.after = after
    }

    package var report: BenchReport {
        let seconds = workload.duration / .seconds(1)
        let counts = result.counts
        return BenchReport(
            lines: [
                .init("users", "users", .count(workload.users)),
                .init("groupSize", "members of a thread", .count(workload.groupSize)),
                .init("sizeBytes", "bytes of a text", .count(workload.sizeBytes)),
                .init("seconds", "measured seconds", .number(seconds, digits: 1)),
                .init(
                    "messagesPerSecond", "messages/s",
                    .number(Double(counts.acknowledgedMeasured) / seconds, digits: 1)),
                .init(
                    "deliveriesPerSecond", "deliveries/s",
                    .number(Double(counts.deliveredMeasured) / seconds, digits: 1)),
                BenchReport.latencies(
                    "deliveryMilliseconds", "send to the recipient's client", result.deliveries),
                BenchReport.latencies("ackMilliseconds", "send to acknowledgement", result.acknowledgements),
                .init("acknowledged", "acknowledged, in all", .count(result.tally.acknowledged)),
                .init("delivered", "delivered live, in all", .count(result.tally.delivered)),
                .init("lost", "lost", .count(lost)), .init("lostLive", "lost live only", .count(lostLive)),
                .init("doubled", "doubled", .count(result.tally.doubled)),
                .init("outOfOrder", "out of order", .count(result.tally.outOfOrder)),
                .init("numberHoles", "holes in thread numbers", .count(result.tally.holes)),
                .init("unanswered", "unanswered", .count(result.unanswered)),
                .init("refused", "refused", .count(counts.refused)),
                .init("unavailable", "told to try again", .count(counts.unavailable)),
                .init("reconnects", "reconnects", .count(counts.reconnects)),
                .init("resyncs", "resyncs", .count(counts.resyncs)),
                .init("receiptFrames", "receipt frames", .count(counts.receiptFrames)), cpu,
                .init(
                    "ownCPUMicrosecondsPerMessage", "generator's own CPU per message (µs)",
                    .number(
                        (after.ownCPUSeconds - before.ownCPUSeconds) * 1e6
                            / Double(max(1, counts.acknowledgedMeasured)), digits: 1)),
            ], faults: faults)
    }

    private var cpu: BenchReport.Line {
        let perThousand = Double(max(1, result.counts.acknowledgedMeasured)) / 1_000
        let seconds = after.cpuSeconds(since: before)
        let lines = seconds.sorted { $0.key < $1.key }.map { label, seconds in
            BenchReport.Line(label, label, .number(seconds / perThousand, digits: 4))
        }
        let total = seconds.values.reduce(0, +) / perThousand
        return .init(
            "cpuSecondsPer1000Messages", "CPU-seconds per 1,000 messages",
            .group(lines + [.init("total", "all servers", .number(total, digits: 4))]))
    }

    private var faults: [String] {
        var faults: [String] = []
        if lost > 0 { faults.append("\(lost) acknowledged messages are lost") }
        if lostLive > 0 { faults.append("\(lostLive) messages did not come live") }
        if result.tally.doubled > 0 { faults.append("\(result.tally.doubled) messages came twice") }
        if result.tally.outOfOrder > 0 {
            faults.append("\(result.tally.outOfOrder) messages came out of order")
        }
        if result.tally.holes > 0 {
            faults.append("\(result.tally.holes) numbers are missing or taken twice")
        }
        if result.unanswered > 0 { faults.append("\(result.unanswered) messages were never answered") }
        for (text, count) in result.counts.refusals.sorted(by: { $0.key < $1.key }) {
            faults.append("\(count) times refused as \(text)")
        }
        return faults
    }
}
