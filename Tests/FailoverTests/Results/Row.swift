import Foundation
import Synchronization
import Testing

@testable import SystemSupport

/// One row of the matrix while it runs: what was injected when, and what was not as expected.
final class Row: Sendable {
    private let state: Mutex<RowResult>
    private let injections = Mutex<[ContinuousClock.Instant]>([])
    private let start = ContinuousClock.now

    init(_ row: String, injected: String, expected: String) {
        state = Mutex(RowResult(row: row, injected: injected, expected: expected))
    }

    var result: RowResult { state.withLock { $0 } }
    var injected: [ContinuousClock.Instant] { injections.withLock { $0 } }

    /// Says that something is broken from now on.
    func inject() { injections.withLock { $0.append(.now) } }

    func note(_ text: String) { state.withLock { $0.notes.append(text) } }

    /// Says that this row's ASM Services are the debug build's, whatever is tested else.
    func setFailpointBuild() {
        set { $0.build = "debug" }
        note("its ASM Services are the debug build's, which alone has failpoints")
    }

    func fail(_ text: String) { state.withLock { $0.failures.append(text) } }

    func check(_ holds: Bool, _ text: @autoclosure () -> String) {
        if !holds { fail(text()) }
    }

    /// Bounds something measured; a debug build may take longer.
    func check(_ what: String, _ milliseconds: Int?, atMost limit: Duration) {
        let allowed = Int(Double(limit.wholeMilliseconds) * Build.asm.slack)
        let took = milliseconds ?? Int.max
        check(took <= allowed, "\(what) was \(took) ms, \(allowed) ms are allowed")
    }

    func set(_ change: (inout RowResult) -> Void) { state.withLock { change(&$0) } }

    /// Writes down what was found, and fails the test when it is not what was expected.
    func finish(_ report: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        set { $0.seconds = (ContinuousClock.now - start).wholeMilliseconds / 1_000 }
        let result = result
        try result.write()
        #expect(
            result.failures.isEmpty, "\(result.row): \(result.failures.prefix(8))\n\(report)",
            sourceLocation: sourceLocation)
    }
}

/// What is expected of the people during a row, beside that no promise is broken.
struct Expectation: Sendable {
    /// The longest gap of anybody.
    var gap: Duration
    /// The 99th percentile of the gaps.
    var p99: Duration?
    /// How long those may be away who lose their connection; nil: nobody loses it.
    var away: Duration?
    /// Whether acknowledged messages may be lost: asynchronous replication.
    var mayLose = false
    /// Whether people may have seen what is not there in the end: PostgreSQL shows a commit whose wait was cancelled.
    var mayVanishLive = false
    /// How many servers are to be reported as inactive.
    var reported = 0
    /// Whether somebody may be refused for good, or remain without an answer.
    var allAcknowledged = true
}

/// Runs a row: people write at a steady rate while `body` breaks things; then everything is mended and checked.
///
/// - Parameters:
///   - rate: messages a second; the build's usual rate by default.
///   - body: breaks things, says so with `Row.inject`, and comes back when the people are over it.
func runRow(
    _ name: String, injected: String, expected: String, people count: Int = 20, rate: Int = Build.asm.rate,
    _ expectation: Expectation, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable (Site, Row) async throws -> Void
) async throws {
    let row = Row(name, injected: injected, expected: expected)
    row.set { $0.rate = rate }
    let site: Site
    do { site = try await Site.whole() } catch {
        row.fail("the site could not be made: \(error)")
        return try row.finish("", sourceLocation: sourceLocation)
    }
    do {
        let crowd = try await Crowd(site.people(count), at: site.entrance)
        try await withThrowingTaskGroup(of: Void.self) { stays in
            for person in crowd.people { stays.addTask { await person.stay(at: site.entrance) } }
            try await crowd.untilWelcome()
            let known = try await site.inactiveIncidents()
            try await during(crowd, rate) { try await body(site, row) }
            try await site.mend()
            let reported = try await site.inactiveIncidents() - known
            row.check(
                reported == expectation.reported,
                "\(reported) servers were reported as inactive, expected \(expectation.reported)")
            let verdict = try await Verdict.of(crowd.talks, crowd.record, at: site.webs)
            row.set { $0.visible = verdict.visible.isEmpty ? nil : Times(verdict.visible) }
            if expectation.mayVanishLive {
                let inTheEnd = try await Verdict.of(crowd.talks, crowd.record, at: site.webs, live: false)
                row.note(
                    "\(verdict.broken.count - inTheEnd.broken.count) times somebody live saw what vanished or moved"
                )
                conclude(row, crowd, inTheEnd, expectation)
            } else {
                conclude(row, crowd, verdict, expectation)
            }
            stays.cancelAll()
        }
        try row.finish(site.report, sourceLocation: sourceLocation)
        if expectation.mayLose { await Site.spoil() }
    } catch {
        row.fail("\(error)")
        try row.finish(site.report, sourceLocation: sourceLocation)
        // Whatever state it left.
        await Site.spoil()
    }
}

/// Runs a row that does not need people who write all the time.
func runPlainRow(
    _ name: String, injected: String, expected: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Site, Row) async throws -> Void
) async throws {
    let row = Row(name, injected: injected, expected: expected)
    var report = ""
    do {
        let site = try await Site.whole()
        do { try await body(site, row) } catch {
            row.fail("\(error)")
            report = site.report
            await Site.spoil()
        }
    } catch { row.fail("the site could not be made: \(error)") }
    try row.finish(report, sourceLocation: sourceLocation)
}

/// People write before, during and some time after something.
private func during(_ crowd: Crowd, _ rate: Int, _ body: @escaping @Sendable () async throws -> Void)
    async throws
{
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { await crowd.write(perSecond: rate) }
        // Everybody has had an acknowledgement before anything happens.
        for person in crowd.people {
            try await person.state.until("\(person.name) should be acknowledged") {
                $0.acknowledgements.isEmpty ? nil : true
            }
        }
        do { try await body() } catch {
            crowd.stop()
            tasks.cancelAll()
            throw error
        }
        // And after it.
        let over = ContinuousClock.now
        for person in crowd.people {
            // Whoever is not served any more is found by the gaps.
            _ = try? await person.state.until("\(person.name) should be acknowledged", within: .seconds(60)) {
                ($0.acknowledgements.last ?? over) > over ? true : nil
            }
        }
        crowd.stop()
        try await tasks.waitForAll()
    }
}

private func conclude(_ row: Row, _ crowd: Crowd, _ verdict: Verdict, _ expectation: Expectation) {
    let sends = crowd.record.current.sends
    let gaps = Times(crowd.gaps(after: row.injected))
    let first = row.injected.first ?? .now
    let away = crowd.absences(after: first)
    row.set { result in
        result.sent = sends.count
        for send in sends {
            switch send.outcome {
            case .acknowledged: result.acknowledged += 1
            case .unknown: result.unknown += 1
            case .refused: result.refused += 1
            }
        }
        result.lost = verdict.lost
        result.doubled = verdict.doubled
        result.reordered = verdict.reordered
        result.otherBreaks = verdict.others
        result.reconnects = crowd.reconnects
        result.gap = gaps
        result.silence = Times(crowd.silences(after: row.injected))
        result.away = away.isEmpty ? nil : Times(away)
    }
    let resyncs = crowd.people.map(\.state.value.resyncs).reduce(0, +)
    if resyncs > 0 { row.note("\(resyncs) times somebody was told to load the log anew") }
    let result = row.result
    row.check(
        verdict.broken.isEmpty || expectation.mayLose,
        "\(verdict.broken.count) promises broken: \(verdict.broken.prefix(5))")
    row.check("the longest gap", gaps.max, atMost: expectation.gap)
    if let p99 = expectation.p99 { row.check("the gaps' p99", gaps.p99, atMost: p99) }
    if let limit = expectation.away {
        row.check("the time away, p99,", result.away?.p99 ?? 0, atMost: limit)
    } else {
        row.check(result.reconnects == 0, "\(result.reconnects) reconnects, none was expected")
    }
    if expectation.allAcknowledged {
        row.check(
            result.acknowledged == result.sent,
            "of \(result.sent) messages \(result.acknowledged) were acknowledged, \(result.refused) refused")
    }
}
