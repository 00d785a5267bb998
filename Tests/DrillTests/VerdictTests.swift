import Domain
import Foundation
import Testing

@testable import Drill

@Suite("The verdict of a drill")
struct VerdictTests {
    @Test("a short interruption through which everything came passes, with its figures")
    func passes() throws {
        let report = DrillReport(RecordMaker.record(outages: [(from: 7, to: 8, paths: [0, 1])]))

        let part = try #require(report.parts.first)
        #expect(report.faults == [])
        #expect(report.acknowledged == 400)
        #expect(part.acknowledged == part.sent)
        #expect(part.sent > 30)
        #expect(part.acknowledgedDuring > 5)
        #expect(report.text.hasPrefix("PASS"))
    }

    @Test("a gap above the bound fails, and so does one that is not over")
    func gaps() {
        let long = DrillReport(RecordMaker.record(outages: [(from: 7, to: 10.5, paths: [0])]))
        let open = DrillReport(RecordMaker.record(outages: [(from: 7, to: nil, paths: [0])]))

        #expect(long.faults.count == 1)
        #expect(long.faults.first?.contains("more than 3.000 s") == true)
        #expect(open.faults.contains { $0.contains("was not over") })
        #expect(open.faults.contains { $0.contains("never answered") })
        #expect(open.text.hasPrefix("FAIL"))
    }

    @Test("a message that one reader lacks at one web address is lost, and belongs to its interruption")
    func lost() {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0])])
        let lost = record.messages.firstIndex { $0.sentAt >= .milliseconds(7_500) }
        RecordMaker.changeHistory(&record) { lines in lines.removeAll { $0.message == lost } }

        let report = DrillReport(record)

        #expect(report.audit.lost.count == 1)
        #expect(report.parts.map(\.lost) == [1])
        #expect(report.faults == ["1 message acknowledged and lost: a history lacks them"])
    }

    @Test("a message that stands twice in a history, or comes twice, is doubled")
    func doubled() {
        var stored = RecordMaker.record()
        RecordMaker.changeHistory(&stored) { $0.append(.init(message: 5, number: 9_999)) }
        var live = RecordMaker.record()
        live.deliveries[1].append(live.deliveries[1][4])

        #expect(DrillReport(stored).audit.doubled == [5])
        #expect(DrillReport(live).audit.doubled.count == 1)
        #expect(!DrillReport(live).isPassed)
    }

    @Test(
        "a message at another place than it was promised, or before an older one of its sender, is out of order"
    )
    func reordered() {
        var misplaced = RecordMaker.record()
        RecordMaker.changeHistory(&misplaced) { lines in
            lines[10] = .init(message: lines[11].message, number: lines[10].number)
            lines[11] = .init(message: 9, number: lines[11].number)
        }
        var late = RecordMaker.record()
        late.deliveries[1].swapAt(3, 4)

        #expect(DrillReport(misplaced).audit.reordered == [9, 10])
        #expect(DrillReport(late).audit.reordered.count == 1)
    }

    @Test("a message that the servers asked to send again later may stand after younger ones")
    func postponed() {
        func report(isPostponed: Bool) -> DrillReport {
            var record = RecordMaker.record(seconds: 2)
            // The first message of path 0 takes the last place.
            record.messages[0].answer = .init(
                at: .seconds(2), position: 9_999, number: 9_999, route: RecordMaker.route(0))
            record.messages[0].wasPostponed = isPostponed
            record.histories = record.histories.map { history in
                let rest = history.lines.filter { $0.message != 0 }
                return .init(
                    path: history.path, web: history.web, lines: rest + [.init(message: 0, number: 9_999)])
            }
            for path in record.paths.indices { record.deliveries[path].removeAll { $0.message == 0 } }
            return DrillReport(record)
        }

        #expect(report(isPostponed: true).audit.reordered == [])
        #expect(report(isPostponed: false).audit.reordered == [0])
    }

    @Test("what is in the history and was not shown is told as that")
    func missedLive() {
        var record = RecordMaker.record()
        record.deliveries[2].removeAll { $0.message == 4 }
        record.shown[2].remove(4)

        let report = DrillReport(record)

        #expect(report.audit.missedLive == [4])
        #expect(report.audit.lost == [])
        #expect(report.faults == ["1 message acknowledged, but not shown to everybody while connected"])
    }

    @Test("a server or a web address that was never used before the first failover is named, and fails")
    func coverage() {
        var unknown = RecordMaker.record()
        unknown.servers.append("10.0.0.3:7400")
        var lateWeb = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0])])
        for (index, message) in lateWeb.messages.enumerated() where message.sentAt < .seconds(9) {
            guard let answer = message.answer else { continue }
            lateWeb.messages[index].answer = .init(
                at: answer.at, position: answer.position, number: answer.number, route: RecordMaker.route(0))
        }

        #expect(
            DrillReport(unknown).faults == [
                "ASM Service 10.0.0.3:7400 was not used before the first failover: it proved nothing"
            ])
        var takenOver = RecordMaker.record()
        takenOver.messages = lateWeb.messages
        takenOver.routes.append(.init(path: 0, at: .seconds(7), what: RecordMaker.route(2)))
        #expect(DrillReport(takenOver).coverage.unusedServers == ["10.0.0.2:7400"])
        #expect(
            DrillReport(lateWeb).faults == [
                "ASM Service 10.0.0.2:7400 was not used before the first failover: it proved nothing",
                "Web Service http://web-2:8080 was not used before the first failover: it proved nothing",
            ])
    }

    @Test("a web address whose history cannot be read in the end fails with the reason")
    func unread() {
        var record = RecordMaker.record()
        record.unreadWebs[1] = "connection refused"

        #expect(
            DrillReport(record).faults == [
                "the history could not be read at http://web-2:8080 in the end: connection refused"
            ])
    }

    @Test("one that was stopped never passes, and fails only for what was wrong before")
    func stopped() {
        func report(_ outages: [(from: Double, to: Double?, paths: Set<Int>)]) -> DrillReport {
            var record = RecordMaker.record(seconds: 10, outages: outages)
            record.plan.duration = .seconds(60)
            record.stoppedAfter = .seconds(10)
            return DrillReport(record)
        }

        let well = report([])
        let within = report([(from: 9, to: nil, paths: [0])])
        let tooLong = report([(from: 7, to: nil, paths: [0])])
        var unread = report([]).record
        unread.unreadWebs[0] = "the drill was stopped"

        #expect(well.verdict.outcome == .stopped)
        #expect(well.faults == ["it was stopped after 10.000 s of 60.000 s: no more than that is proved"])
        #expect(well.text.hasPrefix("STOPPED: it was stopped after"))
        #expect(within.verdict.outcome == .stopped)
        #expect(within.faults.contains { $0.contains("was not over at the end") })
        #expect(tooLong.verdict.outcome == .failed)
        #expect(DrillReport(unread).verdict.outcome == .stopped)
        #expect([well, within, tooLong].allSatisfy { !$0.isPassed })
    }

    @Test("plans and takedowns that make no sense are refused with what is expected")
    func refused() throws {
        var plan = DrillPlan()
        plan.rate = 500
        plan.duration = .seconds(3_600)
        #expect(throws: (any Error).self) { try plan.check(webs: 2) }
        #expect(throws: (any Error).self) { try DrillPlan().check(webs: 9) }
        for text in ["", "x", "1", "-5", "0@3", "12@", "12@x", "12@1@2"] {
            #expect(throws: (any Error).self, "\(text)") { try Takedown.kill(text) }
        }
        for text in ["12", "12@3", "12@3+0", "12@+3"] {
            #expect(throws: (any Error).self, "\(text)") { try Takedown.stop(text) }
        }
        #expect(try Takedown.kill("12@2.5").at == .milliseconds(2_500))
        let spread = Takedown.spread(
            [try .kill("12"), try .kill("13@1"), try .kill("14")], over: .seconds(30))
        #expect(spread.map(\.at) == [.seconds(10), .seconds(1), .seconds(20)])
    }

    @Test("sessions are connected anew until every server has one from every web address")
    func balance() {
        let paths = (0..<6).map { DrillRecord.Path(login: "\($0)", web: $0 % 2) }
        let all = Set(RecordMaker.servers)
        func routes(_ servers: [Int]) -> [DrillRecord.Route?] {
            servers.enumerated().map { path, server in
                .init(web: path % 2, webName: "w", server: RecordMaker.servers[server])
            }
        }

        #expect(Balance.pathsToMove(routes([0, 0, 1, 1, 0, 0]), paths, [all, all]) == [])
        #expect(Balance.pathsToMove(routes([0, 0, 0, 1, 0, 1]), paths, [all, all]) == [4])
        #expect(Balance.pathsToMove(routes([0, 0, 1, 1]) + [nil, nil], paths, [[], []]) == [])
    }
}
