import Foundation
import Synthetic

extension DrillReport {
    /// The report as one JSON object; its keys are described in docs/drill.md and only added to.
    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(DrillDocument(self)), as: UTF8.self)
    }
}

/// The JSON form of a report: times in seconds, moments in Unix milliseconds.
struct DrillDocument: Encodable {
    struct Times: Encodable {
        let p50: Double
        let p99: Double
        let max: Double

        init(_ histogram: Histogram) {
            func milliseconds(_ nanoseconds: UInt64) -> Double {
                (Double(nanoseconds) / 1e3).rounded() / 1e3
            }
            p50 = milliseconds(histogram.quantile(0.5))
            p99 = milliseconds(histogram.quantile(0.99))
            max = milliseconds(histogram.largest)
        }

        init(_ interruption: Interruption) {
            p50 = interruption.gap(0.5).jsonSeconds
            p99 = interruption.gap(0.99).jsonSeconds
            max = interruption.longestGap.jsonSeconds
        }
    }

    struct Action: Encodable {
        let afterSeconds: Double
        let text: String

        init(_ action: DrillRecord.Action) {
            (afterSeconds, text) = (action.at.jsonSeconds, action.text)
        }
    }

    struct Moved: Encodable {
        let afterSeconds: Double
        let moved: Int
        let reconnected: Int
        let from: [String]
        let to: [String]
        let longestWaitSeconds: Double

        init(_ takeover: Takeover) {
            (afterSeconds, longestWaitSeconds) = (takeover.at.jsonSeconds, takeover.longestWait.jsonSeconds)
            (moved, reconnected) = (takeover.moved, takeover.reconnected)
            (from, to) = (takeover.from, takeover.to)
        }
    }

    struct Part: Encodable {
        let beganAt: Int64
        let beganAfterSeconds: Double
        /// Absent when it was not over at the end.
        let endedAfterSeconds: Double?
        let isOver: Bool
        let gapSeconds: Times
        let pathsInterrupted: Int
        let cause: String
        let webs: [String]
        let servers: [String]
        let sent: Int
        let acknowledged: Int
        let acknowledgedOnOtherPaths: Int
        let lost: Int
        let doubled: Int
        let reordered: Int
        let reconnects: Int
        let actions: [Action]
    }

    struct Web: Encodable {
        let address: String
        let names: [String]
        let acknowledged: Int
    }

    struct Server: Encodable {
        let address: String
        let acknowledged: Int
    }

    let ok: Bool
    let faults: [String]
    let startedAt: Int64
    let seconds: Double
    /// Absent when it came to its end.
    let stoppedAfterSeconds: Double?
    let rate: Double
    let maxGapSeconds: Double
    let paths: Int
    let spacingSeconds: Double
    let thresholdSeconds: Double
    let sent: Int
    let acknowledged: Int
    let lost: Int
    let doubled: Int
    let reordered: Int
    let missedLive: Int
    let unanswered: Int
    let refused: Int
    let reconnects: Int
    let longestGapSeconds: Double
    let ackMilliseconds: Times
    let deliveryMilliseconds: Times
    let interruptions: [Part]
    let webs: [Web]
    let servers: [Server]
    let actions: [Action]
    let takeovers: [Moved]
    let notes: [String]

    init(_ report: DrillReport) {
        let record = report.record
        ok = report.isPassed
        faults = report.faults
        startedAt = record.startedAtMilliseconds
        seconds = record.plan.duration.jsonSeconds
        stoppedAfterSeconds = record.stoppedAfter?.jsonSeconds
        rate = record.plan.rate
        maxGapSeconds = record.plan.longestGap.jsonSeconds
        paths = record.paths.count
        spacingSeconds = record.spacing.jsonSeconds
        thresholdSeconds = report.threshold.jsonSeconds
        (sent, acknowledged) = (report.sent, report.acknowledged)
        (unanswered, refused) = (report.unanswered, report.refused)
        lost = report.audit.lost.count
        doubled = report.audit.doubled.count
        reordered = report.audit.reordered.count
        missedLive = report.audit.missedLive.count
        reconnects = record.reconnects.count
        longestGapSeconds = report.longestGap.jsonSeconds
        ackMilliseconds = Times(report.acknowledgements)
        deliveryMilliseconds = Times(report.deliveries)
        interruptions = report.parts.map { Part($0, record) }
        webs = report.coverage.webs.map {
            Web(address: $0.address, names: $0.names.sorted(), acknowledged: $0.acknowledged)
        }
        servers = report.coverage.servers.map {
            Server(address: $0.address, acknowledged: $0.acknowledged)
        }
        actions = record.actions.map(Action.init)
        takeovers = report.takeovers.map(Moved.init)
        notes = record.notes
    }
}

extension DrillDocument.Part {
    fileprivate init(_ part: DrillReport.Part, _ record: DrillRecord) {
        let interruption = part.interruption
        beganAt = record.startedAtMilliseconds + Int64(interruption.began / .milliseconds(1))
        beganAfterSeconds = interruption.began.jsonSeconds
        endedAfterSeconds = interruption.ended?.jsonSeconds
        isOver = interruption.isOver
        gapSeconds = DrillDocument.Times(interruption)
        pathsInterrupted = interruption.gaps.count
        cause = part.cause.text
        (webs, servers) = (part.cause.webs, part.cause.servers)
        (sent, acknowledged) = (part.sent, part.acknowledged)
        acknowledgedOnOtherPaths = part.acknowledgedDuring
        (lost, doubled, reordered) = (part.lost, part.doubled, part.reordered)
        reconnects = part.reconnects
        actions = part.actions.map(DrillDocument.Action.init)
    }
}

extension Duration {
    /// Seconds, exact to the millisecond.
    fileprivate var jsonSeconds: Double { (self / .milliseconds(1)).rounded() / 1e3 }
}
