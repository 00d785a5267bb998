/// A moment at which sessions went over to other servers, whether anybody noticed or not.
///
/// The deployment says it itself: a session's route changes. So a failover that was too quick to be an interruption is
/// seen, too.
package struct Takeover: Sendable, Hashable {
    /// Changes that follow each other so closely are one.
    static let together = Duration.seconds(1)

    package let at: Duration
    /// Sessions that another ASM Service took over while their connection stood.
    package let moved: Int
    /// Sessions that had to connect anew.
    package let reconnected: Int
    /// The servers that they left, and those to which they went.
    package let from: [String]
    package let to: [String]
    /// Of their messages at that time.
    package let longestWait: Duration

    package static func all(in record: DrillRecord) -> [Takeover] {
        var routes: [Int: DrillRecord.Route] = [:]
        var groups: [[Change]] = []
        var last: Duration?
        for moment in record.routes.sorted(by: { $0.at < $1.at }) {
            let before = routes.updateValue(moment.what, forKey: moment.path)
            guard let before else { continue }
            let change = Change(path: moment.path, at: moment.at, before: before, after: moment.what)
            if let last, moment.at - last < together {
                groups[groups.count - 1].append(change)
            } else {
                groups.append([change])
            }
            last = moment.at
        }
        return groups.map { Takeover($0, record) }
    }

    private struct Change {
        let path: Int
        let at: Duration
        let before: DrillRecord.Route
        let after: DrillRecord.Route
    }

    private init(_ changes: [Change], _ record: DrillRecord) {
        at = changes[0].at
        let end = changes[changes.count - 1].at
        let window = (at - DrillReport.before)...end
        let anew = Set(record.reconnects.filter { window.contains($0.at) }.map(\.path))
        let paths = Set(changes.map(\.path))
        moved = paths.subtracting(anew).count
        reconnected = paths.intersection(anew).count
        func names(_ route: (Change) -> DrillRecord.Route) -> [String] {
            Set(changes.map { anew.contains($0.path) ? record.webs[route($0).web] : route($0).server })
                .sorted()
        }
        from = names(\.before)
        to = names(\.after)
        longestWait =
            record.messages.filter { paths.contains($0.path) && window.contains($0.sentAt) && !$0.isWarmUp }
            .map { ($0.answer?.at ?? record.length) - $0.sentAt }.max() ?? .zero
    }

    /// A sentence.
    package var text: String {
        func sessions(_ count: Int) -> String { "\(count) \(count == 1 ? "session" : "sessions")" }
        var parts: [String] = []
        if moved > 0 { parts.append("\(sessions(moved)) moved to another ASM Service without reconnecting") }
        if reconnected > 0 { parts.append("\(sessions(reconnected)) connected again") }
        return parts.joined(separator: ", ") + ": from \(from.joined(separator: ", ")) to "
            + "\(to.joined(separator: ", ")); the longest wait was \(longestWait.rounded(3)) s"
    }
}
