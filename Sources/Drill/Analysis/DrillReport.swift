package import Synthetic

/// What a drill found: the verdict, each interruption, and the figures, for people and for programs.
package struct DrillReport: Sendable {
    /// An interruption with what happened to the messages of its time.
    package struct Part: Sendable {
        package let interruption: Interruption
        package let cause: Cause
        /// Messages sent from `before` before it until its end.
        package let sent: Int
        package let acknowledged: Int
        /// Acknowledged on other paths while it lasted.
        package let acknowledgedDuring: Int
        package let lost: Int
        package let doubled: Int
        package let reordered: Int
        package let reconnects: Int
        /// What the drill itself did at that time.
        package let actions: [DrillRecord.Action]
    }

    /// Messages sent so long before an interruption belong to it: they may have been on their way.
    package static let before = Duration.seconds(1)

    package let record: DrillRecord
    package let parts: [Part]
    package let takeovers: [Takeover]
    package let coverage: Coverage
    package let audit: DeliveryAudit
    package let threshold: Duration
    /// From sending to the acknowledgement, and to the others' screens.
    package let acknowledgements: Histogram
    package let deliveries: Histogram
    package let verdict: Verdict

    package init(_ record: DrillRecord) {
        let interruptions = InterruptionFinder.interruptions(in: record)
        let audit = DeliveryAudit(record)
        let takeovers = Takeover.all(in: record)
        let firsts = [interruptions.first?.began, takeovers.first?.at].compactMap(\.self)
        let coverage = Coverage(record, before: firsts.min())
        self.record = record
        self.audit = audit
        self.coverage = coverage
        threshold = InterruptionFinder.threshold(of: record)
        self.takeovers = takeovers
        parts = interruptions.map { Part($0, record, audit) }
        var (acknowledgements, deliveries) = (Histogram(), Histogram())
        for message in record.messages where !message.isWarmUp {
            if let answer = message.answer {
                acknowledgements.record((answer.at - message.sentAt).nanoseconds)
            }
        }
        for delivery in record.deliveries.joined() where !record.messages[delivery.message].isWarmUp {
            deliveries.record((delivery.at - record.messages[delivery.message].sentAt).nanoseconds)
        }
        (self.acknowledgements, self.deliveries) = (acknowledgements, deliveries)
        verdict = Verdict(record, interruptions, audit, coverage)
    }

    /// Why it is no pass, one sentence each.
    package var faults: [String] { verdict.faults }
    package var isPassed: Bool { verdict.outcome == .passed }
    package var sent: Int { record.messages.count }
    package var acknowledged: Int { record.messages.count { $0.answer != nil } }
    package var refused: Int { record.messages.count { $0.refusal != nil } }
    package var unanswered: Int { sent - acknowledged - refused }
    package var longestGap: Duration { parts.map(\.interruption.longestGap).max() ?? .zero }
}

extension DrillReport.Part {
    fileprivate init(_ interruption: Interruption, _ record: DrillRecord, _ audit: DeliveryAudit) {
        self.interruption = interruption
        cause = Cause(interruption, record)
        let end = interruption.ended ?? record.length
        let window = (interruption.began - DrillReport.before)...end
        let own = record.messages.indices.filter { window.contains(record.messages[$0].sentAt) }
        sent = own.count
        acknowledged = own.count { record.messages[$0].answer != nil }
        let during = interruption.began..<max(end, interruption.began)
        acknowledgedDuring = record.messages.count { message in
            guard let answer = message.answer, interruption.gaps[message.path] == nil else { return false }
            return during.contains(answer.at)
        }
        lost = own.count { audit.lost.contains($0) || audit.missedLive.contains($0) }
        doubled = own.count { audit.doubled.contains($0) }
        reordered = own.count { audit.reordered.contains($0) }
        reconnects = record.reconnects.count { window.contains($0.at) }
        actions = record.actions.filter { window.contains($0.at) }
    }
}

extension Duration {
    /// Seconds with so many digits after the point.
    package func rounded(_ digits: Int) -> String { decimal(self / .seconds(1), digits) }

    fileprivate var nanoseconds: UInt64 { UInt64(max(0, self / .nanoseconds(1))) }
}
