import Domain

@testable import Drill

/// Makes records of drills that never were: everybody sends in turn, and everything is as it should be.
enum RecordMaker {
    static let webs = ["http://web-1:8080", "http://web-2:8080"]
    static let servers = ["10.0.0.1:7400", "10.0.0.2:7400"]

    /// Four paths, one for each pair of web address and server; path p sends at p · 50 ms, then each 200 ms.
    /// - Parameter outage: while it lasts, paths of these numbers are not answered; then all at once.
    static func record(
        seconds: Int = 20, outages: [(from: Double, to: Double?, paths: Set<Int>)] = []
    ) -> DrillRecord {
        var plan = DrillPlan()
        plan.duration = .seconds(seconds)
        plan.paths = 4
        let paths = (0..<4).map { DrillRecord.Path(login: "drill\($0 + 1)", web: $0 % 2) }
        var record = DrillRecord(plan: plan, webs: webs, paths: paths)
        record.servers = servers
        record.length = .seconds(seconds + 1)
        record.startedAtMilliseconds = 1_795_528_800_000
        for path in 0..<4 { record.routes.append(.init(path: path, at: .zero, what: route(path))) }
        for index in 0..<(seconds * 20) {
            let (path, sentAt) = (index % 4, Duration.milliseconds(index * 50))
            var answerAt: Duration? = sentAt + .milliseconds(5)
            for outage in outages where outage.paths.contains(path) {
                let from = Duration.seconds(outage.from)
                let to = outage.to.map { Duration.seconds($0) }
                if let answer = answerAt, answer >= from, answer <= to ?? .seconds(1_000_000) {
                    answerAt = to.map { $0 + .microseconds(index) }
                }
            }
            record.messages.append(
                .init(
                    path: path, sequence: index / 4 + 1, sentAt: sentAt,
                    answer: answerAt.map { at in
                        .init(
                            at: at, position: Int64(index + 10), number: Int64(index + 2), route: route(path))
                    }))
        }
        deliver(&record)
        return record
    }

    static func route(_ path: Int) -> DrillRecord.Route {
        .init(web: path % 2, webName: "web-\(path % 2 + 1):8080", server: servers[path / 2])
    }

    /// Everything acknowledged comes everywhere once, and stands in every history once.
    private static func deliver(_ record: inout DrillRecord) {
        let stored = record.messages.indices.filter { record.messages[$0].answer != nil }
        for path in record.paths.indices {
            for index in stored where record.messages[index].path != path {
                guard let answer = record.messages[index].answer else { continue }
                record.deliveries[path].append(
                    .init(message: index, position: answer.position, at: answer.at + .milliseconds(1)))
                record.shown[path].insert(index)
            }
            for web in webs.indices {
                let lines = stored.map { index in
                    DrillRecord.History.Line(
                        message: index, number: record.messages[index].answer?.number ?? 0)
                }
                let head = DrillRecord.History.Line(message: nil, number: 1)
                record.histories.append(.init(path: path, web: web, lines: [head] + lines))
            }
        }
    }

    /// Changes one reader's history at one web address.
    static func changeHistory(
        _ record: inout DrillRecord, _ change: (inout [DrillRecord.History.Line]) -> Void
    ) {
        let old = record.histories[3]
        var lines = old.lines
        change(&lines)
        record.histories[3] = .init(path: old.path, web: old.web, lines: lines)
    }
}

extension Duration {
    func isWithin(_ seconds: Double, of other: Double) -> Bool {
        abs(self / .seconds(1) - other) <= seconds
    }
}
