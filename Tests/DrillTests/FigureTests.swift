import Domain
import Testing

@testable import Drill

@Suite("The figures of a drill, and the sentences of its verdict")
struct FigureTests {
    @Test("each interruption counts what happened in it, and nothing else")
    func parts() throws {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0])])
        let within = try #require(record.messages.firstIndex { $0.sentAt >= .milliseconds(7_500) })
        let later = try #require(record.messages.firstIndex { $0.sentAt >= .seconds(12) })
        for index in [within, later] {
            record.deliveries[1].append(.init(message: index, position: 1, at: .seconds(20)))
            RecordMaker.changeHistory(&record) { lines in
                guard let line = lines.firstIndex(where: { $0.message == index + 1 }) else { return }
                lines.swapAt(line, line + 1)
            }
            record.reconnects.append(.init(path: 2, at: record.messages[index].sentAt, what: 0))
            record.actions.append(.init(at: record.messages[index].sentAt, text: "at \(index)"))
        }

        let report = DrillReport(record)
        let part = try #require(report.parts.first)

        #expect(report.audit.doubled == [within, later])
        #expect(report.audit.reordered == [within + 1, later + 1])
        #expect((part.doubled, part.reordered, part.reconnects) == (1, 1, 1))
        #expect(part.actions.map(\.text) == ["at \(within)"])
        #expect(report.faults.contains("2 messages out of order"))
    }

    @Test("what others were answered meanwhile does not count the paths that were hit")
    func acknowledgedDuring() throws {
        let record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0]), (from: 7, to: 9, paths: [1])])

        let part = try #require(DrillReport(record).parts.first)

        // Two paths, five messages a second, two seconds.
        #expect(part.acknowledgedDuring == 20)
        #expect(part.interruption.gap(0.5).isWithin(0.1, of: 1))
        #expect(part.interruption.gap(0.99).isWithin(0.1, of: 2))
    }

    @Test("a path that stands still twice in one interruption has the longer gap")
    func longerGap() throws {
        let record = RecordMaker.record(outages: [
            (from: 7, to: 11, paths: [1]), (from: 7, to: 7.5, paths: [0]), (from: 8, to: 10, paths: [0]),
        ])

        let found = InterruptionFinder.interruptions(in: record)

        #expect(found.count == 1)
        #expect(found.first?.gaps[0]?.isWithin(0.1, of: 2) == true)
    }

    @Test("a second message that waits after the first was answered is a wait of its own")
    func waitsOn() {
        var record = RecordMaker.record(seconds: 4)
        let (first, second) = (0, 4)
        for (index, seconds) in [(first, 1), (second, 3)] {
            record.messages[index].answer = .init(
                at: .seconds(seconds), position: Int64(index), number: Int64(index), route: nil)
        }
        record.messages = [record.messages[first], record.messages[second]]

        let silences = InterruptionFinder.silences(in: record, longerThan: .milliseconds(200))

        #expect(silences.map(\.began) == [.zero, .seconds(1)])
        #expect(silences.map(\.length) == [.seconds(1), .seconds(2)])
    }

    @Test("what an app loaded after it was told to is shown, though it did not come live")
    func shown() {
        var record = RecordMaker.record()
        record.deliveries[2].removeAll { $0.message == 4 }

        #expect(DrillReport(record).audit.missedLive == [])
        #expect(DrillReport(record).isPassed)
    }

    @Test("a path whose servers are not known makes nobody a suspect")
    func unknownRoute() throws {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0, 1])])
        record.routes.removeAll { $0.path == 0 }

        let interruption = try #require(InterruptionFinder.interruptions(in: record).first)

        #expect(Cause(interruption, record).text.hasPrefix("2 of 4 paths stood still"))
    }

    @Test("a drill that acknowledged nothing, or whose servers nobody named, fails")
    func nothing() {
        var silent = RecordMaker.record()
        for index in silent.messages.indices { silent.messages[index].answer = nil }
        var nameless = RecordMaker.record()
        nameless.servers = []

        #expect(DrillReport(silent).faults.contains("nothing was acknowledged at all"))
        #expect(DrillReport(nameless).faults == ["no Web Service said which ASM Services there are"])
    }

    @Test("a wait above the bound fails also where everything is so slow that it is no interruption")
    func longWait() {
        var record = RecordMaker.record()
        for index in record.messages.indices {
            guard let answer = record.messages[index].answer else { continue }
            let wait = index == 100 ? Duration.seconds(4) : .milliseconds(500)
            record.messages[index].answer = .init(
                at: record.messages[index].sentAt + wait, position: answer.position, number: answer.number,
                route: answer.route)
        }

        let report = DrillReport(record)

        #expect(report.parts.isEmpty)
        #expect(
            report.faults == [
                "a message waited 4.000 s for its acknowledgement: more than 3.000 s"
            ])
    }

    @Test("a message that was refused for good fails with the reason")
    func refused() {
        var record = RecordMaker.record()
        record.messages[40].answer = nil
        record.messages[40].refusal = "forbidden"

        #expect(DrillReport(record).faults == ["1 message was refused for good (forbidden)"])
    }

    @Test("of a drill that was stopped, a wait that was already too long is wrong, not unknown")
    func stoppedTooLate() {
        var record = RecordMaker.record(seconds: 10, outages: [(from: 5, to: nil, paths: [0])])
        record.plan.duration = .seconds(60)
        record.stoppedAfter = .seconds(10)

        let failures = DrillReport(record).verdict.failures

        #expect(failures.contains { $0.contains("was not over at the end") })
        #expect(failures.contains { $0.contains("never answered") })
    }
}
