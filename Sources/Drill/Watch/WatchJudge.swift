/// Decides after each round whether somebody is to be told: once for each change, with reminders, never a storm.
///
/// Pure: it is fed with rounds and times. What it says must be mailed; it does not say it again by itself.
package struct WatchJudge: Sendable, Hashable, Codable {
    package struct Rules: Sendable, Hashable {
        /// A condition must be found in so many rounds in a row before it is told.
        package var rounds: Int
        package var remindEvery: Duration

        package init(rounds: Int, remindEvery: Duration) {
            (self.rounds, self.remindEvery) = (rounds, remindEvery)
        }
    }

    /// What was told last; well before anything was.
    package private(set) var told = WatchCondition.well
    /// Since when it is so, in Unix milliseconds.
    package private(set) var since: Int64?
    private var lastTold: Int64?
    private var candidate = WatchCondition.well
    private var candidateRounds = 0
    /// When the first of the rounds was that found the candidate.
    private var candidateSince: Int64 = 0
    /// Rounds that were not well since it was told, or found for long enough, that all is.
    private var badRounds = 0

    package init() {}

    /// Takes what a round found; the notice, where somebody is to be told.
    package mutating func take(_ round: WatchRound, at now: Int64, _ rules: Rules) -> WatchNotice? {
        let found = round.condition
        if found == candidate {
            candidateRounds += 1
        } else {
            (candidate, candidateRounds, candidateSince) = (found, 1, now)
        }
        if !found.isWell { badRounds += 1 }
        if found.isWell, candidateRounds >= rules.rounds { badRounds = 0 }
        let isSure = candidateRounds >= rules.rounds
        // What changes in every round is never found twice: then the last that was found is told.
        let isRestless = told.isWell && !found.isWell && badRounds >= rules.rounds * 2
        if found != told, isSure || isRestless {
            let before = since
            (told, since, lastTold) = (found, candidateSince, now)
            return WatchNotice(
                kind: found.isWell ? .recovery : .alarm, condition: found, since: candidateSince, at: now,
                badSince: found.isWell ? before : nil, details: round.details)
        }
        guard !told.isWell, let lastTold, now - lastTold >= Int64(rules.remindEvery / .milliseconds(1)) else {
            return nil
        }
        self.lastTold = now
        return WatchNotice(
            kind: .reminder, condition: told, since: since ?? now, at: now, badSince: nil,
            details: round.details)
    }
}

/// Something that somebody is to be told by mail.
package struct WatchNotice: Sendable, Hashable, Codable {
    package enum Kind: String, Sendable, Hashable, Codable {
        case alarm, reminder, recovery
    }

    package let kind: Kind
    package let condition: WatchCondition
    /// Since when it is so, and when it was found, in Unix milliseconds.
    package let since: Int64
    package let at: Int64
    /// Of a recovery: since when it had not been well.
    package let badSince: Int64?
    package let details: [String]

    /// The same for each attempt to send it.
    package var id: String { "asm-watch.\(kind.rawValue).\(at)" }

    package var subject: String {
        switch (kind, condition) {
        case (.recovery, _): "ASM watch: all is well again"
        case (_, .silent): "ASM watch: nothing is delivered any more" + reminder
        case (_, .unknown): "ASM watch: the watch cannot log in" + reminder
        case (_, .troubled(let problems)) where problems.count == 1: "ASM watch: \(problems[0])" + reminder
        case (_, .troubled(let problems)): "ASM watch: \(problems.count) problems" + reminder
        case (_, .well): "ASM watch: all is well"
        }
    }

    private var reminder: String { kind == .reminder ? " (still)" : "" }

    package var body: String {
        var lines: [String]
        switch condition {
        case .silent: lines = ["No Web Service delivers messages, as seen from where this watch runs."]
        case .unknown:
            lines = [
                "The watch's own users are refused, so it cannot tell whether messages are delivered.",
                "Look whether they exist, are not locked, and have the password that the watch was given.",
            ]
        case .troubled(let problems): lines = problems.map { $0 + "." }
        case .well: lines = ["Every Web Service and every ASM Service delivers messages."]
        }
        lines.append("Since \(WallClock.text(since)) UTC.")
        if let badSince { lines.append("It was not well from \(WallClock.text(badSince)) UTC on.") }
        lines += ["", "The last round, \(WallClock.text(at)) UTC:"] + details
        return lines.joined(separator: "\n") + "\n"
    }
}
