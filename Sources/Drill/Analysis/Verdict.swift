/// What speaks against a pass.
///
/// A drill that was stopped before its time never passes: at best nothing was wrong up to then.
package struct Verdict: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        case passed, failed
        /// Ended by somebody before its time, with nothing wrong so far.
        case stopped
    }

    /// What is wrong, one sentence each.
    package private(set) var failures: [String] = []
    /// What is not known because the drill was stopped; empty where it was not.
    package private(set) var unknowns: [String] = []

    package var faults: [String] { failures + unknowns }
    package var outcome: Outcome { !failures.isEmpty ? .failed : unknowns.isEmpty ? .passed : .stopped }

    package init(
        _ record: DrillRecord, _ interruptions: [Interruption], _ audit: DeliveryAudit, _ coverage: Coverage
    ) {
        if record.messages.allSatisfy({ $0.answer == nil }) {
            failures.append("nothing was acknowledged at all")
        }
        judge(coverage)
        if record.servers.isEmpty { failures.append("no Web Service said which ASM Services there are") }
        count(audit.lost, "acknowledged and lost: a history lacks them")
        count(audit.missedLive, "acknowledged, but not shown to everybody while connected")
        count(audit.doubled, "doubled")
        count(audit.reordered, "out of order")
        judge(interruptions, record)
        judgeAnswers(record)
        for (web, reason) in record.unreadWebs.sorted(by: { $0.key < $1.key }) {
            add(
                "the history could not be read at \(record.webs[web]) in the end: \(reason)",
                isUnknown: record.stoppedAfter != nil)
        }
        if let stopped = record.stoppedAfter {
            unknowns.append(
                "it was stopped after \(Self.seconds(stopped)) of \(Self.seconds(record.plan.duration)): "
                    + "no more than that is proved")
        }
    }

    private mutating func add(_ sentence: String, isUnknown: Bool) {
        if isUnknown { unknowns.append(sentence) } else { failures.append(sentence) }
    }

    private mutating func count(_ set: Set<Int>, _ text: String) {
        if !set.isEmpty {
            failures.append("\(set.count) \(set.count == 1 ? "message" : "messages") \(text)")
        }
    }

    private mutating func judge(_ coverage: Coverage) {
        for server in coverage.unusedServers {
            failures.append(
                "ASM Service \(server) was not used before the first failover: it proved nothing")
        }
        for web in coverage.unusedWebs {
            failures.append("Web Service \(web) was not used before the first failover: it proved nothing")
        }
    }

    private mutating func judge(_ interruptions: [Interruption], _ record: DrillRecord) {
        let bound = record.plan.longestGap
        for (index, interruption) in interruptions.enumerated() {
            let isLong = interruption.longestGap > bound
            guard interruption.isOver else {
                // What was stopped within its time might have ended within it.
                add(
                    "interruption \(index + 1), from \(Self.seconds(interruption.began)) on, was not over at the end",
                    isUnknown: record.stoppedAfter != nil && !isLong)
                continue
            }
            guard isLong else { continue }
            failures.append(
                "interruption \(index + 1) lasted \(Self.seconds(interruption.longestGap)): "
                    + "more than \(Self.seconds(bound))")
        }
        let waits = record.messages.compactMap { message in message.answer.map { $0.at - message.sentAt } }
        if let longest = waits.max(), longest > bound,
            interruptions.allSatisfy({ $0.longestGap <= bound })
        {
            failures.append(
                "a message waited \(Self.seconds(longest)) for its acknowledgement: more than \(Self.seconds(bound))"
            )
        }
    }

    private mutating func judgeAnswers(_ record: DrillRecord) {
        let unanswered = record.messages.filter { $0.answer == nil && $0.refusal == nil }
        if let longest = unanswered.map({ record.length - $0.sentAt }).max() {
            add(
                "\(Self.messages(unanswered.count)) never answered",
                isUnknown: record.stoppedAfter != nil && longest <= record.plan.longestGap)
        }
        for (reason, refused) in Dictionary(grouping: record.messages.compactMap(\.refusal), by: { $0 })
            .sorted(by: { $0.key < $1.key })
        {
            failures.append("\(Self.messages(refused.count)) refused for good (\(reason))")
        }
    }

    private static func messages(_ count: Int) -> String {
        count == 1 ? "1 message was" : "\(count) messages were"
    }

    private static func seconds(_ duration: Duration) -> String { "\(duration.rounded(3)) s" }
}
