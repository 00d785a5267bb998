import Synthetic

extension DrillReport {
    /// The report for a terminal.
    package var text: String {
        let word = verdict.outcome.word
        let indent = "\n" + String(repeating: " ", count: word.count + 2)
        var lines = [isPassed ? word : "\(word): " + faults.joined(separator: indent), ""]
        lines += [
            row("sent, acknowledged", "\(sent), \(acknowledged)"),
            row(
                "lost, doubled, out of order",
                "\(audit.lost.count), \(audit.doubled.count), \(audit.reordered.count)"),
            row("not shown live", "\(audit.missedLive.count)"),
            row("reconnects", "\(record.reconnects.count)"),
            row("send to acknowledgement (ms)", Self.figures(acknowledgements)),
            row("send to the others' screens (ms)", Self.figures(deliveries)),
            row("longest gap", "\(longestGap.rounded(3)) s (at most \(record.plan.longestGap.rounded(1)) s)"),
            row(
                "paths",
                "\(record.paths.count), a message each \(record.spacing.rounded(2)) s: gaps are exact to that"
            ),
        ]
        if parts.isEmpty { lines += ["", "No interruption: nothing waited for \(threshold.rounded(3)) s."] }
        for (index, part) in parts.enumerated() {
            lines += [""] + Self.lines(part, number: index + 1, record)
        }
        if !takeovers.isEmpty { lines += ["", "Sessions that went over to other servers:"] }
        lines += takeovers.map { "  at +\($0.at.rounded(3)) s: \($0.text)" }
        if !record.actions.isEmpty { lines += ["", "Done by the drill itself:"] }
        lines += record.actions.map { "  at +\($0.at.rounded(3)) s: \($0.text)" }
        lines += ["", "Used before the first failover:"]
        for web in coverage.webs {
            let names = web.names.isEmpty ? "" : " (\(web.names.sorted().joined(separator: ", ")))"
            lines.append("  Web Service \(web.address)\(names): \(web.acknowledged) messages")
        }
        for server in coverage.servers {
            lines.append("  ASM Service \(server.address): \(server.acknowledged) messages")
        }
        lines += record.notes.isEmpty ? [] : [""] + record.notes
        return lines.joined(separator: "\n")
    }

    private static func lines(_ part: Part, number: Int, _ record: DrillRecord) -> [String] {
        let interruption = part.interruption
        let end = interruption.ended.map { "over at +\($0.rounded(3)) s" } ?? "not over at the end"
        return [
            "Interruption \(number): began \(record.clock(at: interruption.began)) UTC "
                + "(+\(interruption.began.rounded(3)) s), \(end)",
            "  \(part.cause.text)",
            row("  gap p50, p99, max (s)", interruption.gapTexts.joined(separator: ", ")),
            row("  paths that stood still", "\(interruption.gaps.count) of \(record.paths.count)"),
            row("  messages of its time, acknowledged", "\(part.sent), \(part.acknowledged)"),
            row("  acknowledged on other paths", "\(part.acknowledgedDuring)"),
            row("  lost, doubled, out of order", "\(part.lost), \(part.doubled), \(part.reordered)"),
            row("  reconnects", "\(part.reconnects)"),
        ] + part.actions.map { "  at +\($0.at.rounded(3)) s: \($0.text)" }
    }

    private static func figures(_ times: Histogram) -> String {
        [times.quantile(0.5), times.quantile(0.99), times.largest].map { decimal(Double($0) / 1e6, 1) }
            .joined(separator: ", ") + " (p50, p99, max)"
    }

    private func row(_ title: String, _ value: String) -> String { Self.row(title, value) }

    private static func row(_ title: String, _ value: String) -> String {
        title + String(repeating: " ", count: max(1, 38 - title.count)) + value
    }
}

extension Verdict.Outcome {
    /// In capitals, so that it is found at a glance.
    var word: String {
        switch self {
        case .passed: "PASS"
        case .failed: "FAIL"
        case .stopped: "STOPPED"
        }
    }
}

extension Interruption {
    /// p50, p99 and the longest, in seconds.
    var gapTexts: [String] { [gap(0.5), gap(0.99), longestGap].map { $0.rounded(3) } }
}

extension DrillRecord {
    /// The time of day at a time of the drill.
    func clock(at time: Duration) -> String {
        WallClock.text(startedAtMilliseconds + Int64(time / .milliseconds(1)))
    }
}
