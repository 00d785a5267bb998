/// A time in which something was sent and nothing answered, on one path or on several at once.
package struct Interruption: Sendable, Hashable {
    /// When the first message was sent that had to wait, from the beginning of the drill.
    package let began: Duration
    /// When the last path was answered again; nil when one never was.
    package let ended: Duration?
    /// The longest silence of each path that was interrupted, by path.
    package let gaps: [Int: Duration]

    package var longestGap: Duration { gaps.values.max() ?? .zero }
    package var isOver: Bool { ended != nil }

    /// The gap that this share of the paths did not exceed.
    package func gap(_ share: Double) -> Duration { Quantile.of(gaps.values.sorted(), share) }
}

/// One path's time between the sending of a message that had to wait and the next answer.
package struct Silence: Sendable, Hashable {
    package let path: Int
    package let began: Duration
    /// Nil when no answer came any more.
    package let ended: Duration?
    /// Up to the end of the drill where no answer came.
    package let length: Duration
}

/// Exact quantiles of few values.
package enum Quantile {
    /// The value that this share of all is not above (nearest rank); zero without values.
    package static func of(_ sorted: [Duration], _ share: Double) -> Duration {
        guard !sorted.isEmpty else { return .zero }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }
}

/// Finds interruptions in what a drill has seen.
///
/// An interruption is what people notice: a message that they have sent waits, and so does everything after it. Time in
/// which nothing was sent is none, however long.
package enum InterruptionFinder {
    /// Shorter waits are never called an interruption.
    package static let shortestGap = Duration.milliseconds(200)
    /// How many times as long as usual a wait must be.
    package static let timesAsUsual = 10

    package static func interruptions(in record: DrillRecord) -> [Interruption] {
        let threshold = threshold(of: record)
        return merged(silences(in: record, longerThan: threshold), closerThan: threshold)
    }

    /// The wait from which on a silence is an interruption.
    package static func threshold(of record: DrillRecord) -> Duration {
        let waits = record.messages.filter { !$0.isWarmUp }.compactMap { message in
            message.answer.map { $0.at - message.sentAt }
        }
        return max(shortestGap, Quantile.of(waits.sorted(), 0.5) * timesAsUsual)
    }

    /// The silences of all paths in the order of their beginnings.
    package static func silences(in record: DrillRecord, longerThan threshold: Duration) -> [Silence] {
        var silences: [Silence] = []
        for (path, indices) in Dictionary(grouping: record.messages.indices, by: { record.messages[$0].path })
        {
            silences += Self.silences(
                of: path, indices.map { record.messages[$0] }, longerThan: threshold, until: record.length)
        }
        return silences.sorted { ($0.began, $0.path) < ($1.began, $1.path) }
    }

    private static func silences(
        of path: Int, _ messages: [DrillRecord.Message], longerThan threshold: Duration, until end: Duration
    ) -> [Silence] {
        // A refusal for good is an answer, too, but at no known time: such a message counts as never sent.
        let kept = messages.filter { $0.refusal == nil }
        let sends = kept.map(\.sentAt).sorted()
        let answers = kept.compactMap { $0.answer?.at }.sorted()
        var silences: [Silence] = []
        var sent = 0
        var waitingSince: Duration?
        for (answered, answer) in answers.enumerated() {
            while sent < sends.count, sends[sent] <= answer {
                if waitingSince == nil { waitingSince = sends[sent] }
                sent += 1
            }
            if let since = waitingSince, answer - since > threshold {
                silences.append(Silence(path: path, began: since, ended: answer, length: answer - since))
            }
            waitingSince = sent > answered + 1 ? answer : nil
        }
        if waitingSince == nil, sent < sends.count { waitingSince = sends[sent] }
        if let since = waitingSince, end - since > threshold {
            silences.append(Silence(path: path, began: since, ended: nil, length: end - since))
        }
        return silences
    }

    /// Joins silences that overlap, or follow each other within less than a threshold.
    package static func merged(_ silences: [Silence], closerThan threshold: Duration) -> [Interruption] {
        var groups: [[Silence]] = []
        var end: Duration?
        for silence in silences {
            let joins = groups.isEmpty ? false : end.map { silence.began < $0 + threshold } ?? true
            if joins {
                groups[groups.count - 1].append(silence)
                end = silence.ended.flatMap { ended in end.map { max($0, ended) } }
            } else {
                groups.append([silence])
                end = silence.ended
            }
        }
        return groups.map { group in
            let isOver = group.allSatisfy { $0.ended != nil }
            return Interruption(
                began: group[0].began, ended: isOver ? group.compactMap(\.ended).max() : nil,
                gaps: Dictionary(group.map { ($0.path, $0.length) }, uniquingKeysWith: max))
        }
    }
}
