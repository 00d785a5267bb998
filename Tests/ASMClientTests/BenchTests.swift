// The load generator is tested here because it is a client and nothing else.
import Domain
import Synthetic
import Testing

@testable import Bench

@Suite("Checking deliveries")
struct DeliveryCheckTests {
    @Test("a run without faults counts everything and finds nothing")
    func clean() {
        let check = Self.check(deliveries: [1, 2, 3])

        #expect(check.isComplete)
        #expect(check.missing.isEmpty)
        #expect(
            check.tally(unanswered: 0)
                == DeliveryCheck.Tally(acknowledged: 3, delivered: 3, doubled: 0, outOfOrder: 0, holes: 0)
        )
    }

    @Test("a lost message is reported, in the middle and at the end")
    func lost() {
        let middle = Self.check(deliveries: [1, 3])
        let end = Self.check(deliveries: [1, 2])

        #expect(middle.missing == [.init(sender: 0, recipient: 1, sequence: 2)])
        #expect(middle.tally(unanswered: 0).holes == 1)
        #expect(!middle.isComplete)
        #expect(end.missing == [.init(sender: 0, recipient: 1, sequence: 3)])
        #expect(!end.isComplete)
    }

    @Test("a message that nobody promised to store may be missing")
    func unpromised() {
        let check = Self.check(acknowledged: [1, 3], deliveries: [1, 3])

        #expect(check.missing.isEmpty)
    }

    @Test("a doubled message is reported")
    func doubled() {
        #expect(Self.check(deliveries: [1, 2, 2, 3]).tally(unanswered: 0).doubled == 1)
        #expect(Self.check(deliveries: [1, 2, 3, 1]).tally(unanswered: 0).doubled == 1)
    }

    @Test("a reordered message is reported")
    func reordered() {
        let check = Self.check(deliveries: [2, 1, 3])

        #expect(check.tally(unanswered: 0).outOfOrder == 1)
        #expect(check.missing.isEmpty)
        #expect(check.isComplete)
    }

    @Test("a message that the server asked to repeat later may come later, but in the log's order")
    func postponed() {
        var check = DeliveryCheck(members: 2)
        check.postponed(1, of: 0)
        check.delivered(2, from: 0, to: 1, number: 5)
        check.delivered(1, from: 0, to: 1, number: 6)
        var wrong = check
        wrong.delivered(3, from: 0, to: 1, number: 4)

        #expect(check.tally(unanswered: 0).outOfOrder == 0)
        #expect(wrong.tally(unanswered: 0).outOfOrder == 1)
    }

    @Test("a number of the thread that is missing, or taken twice, is reported")
    func numbers() {
        var hole = DeliveryCheck(members: 2)
        hole.delivered(1, from: 0, to: 1, number: 5)
        hole.delivered(2, from: 0, to: 1, number: 7)
        var twice = DeliveryCheck(members: 2)
        twice.delivered(1, from: 0, to: 1, number: 5)
        twice.delivered(2, from: 0, to: 1, number: 5)

        #expect(hole.tally(unanswered: 0).holes == 1)
        #expect(hole.tally(unanswered: 1).holes == 0)
        #expect(twice.tally(unanswered: 0).holes == 1)
    }

    /// A thread of two where the first sends messages 1 to 3.
    private static func check(acknowledged: [Int] = [1, 2, 3], deliveries: [Int]) -> DeliveryCheck {
        var check = DeliveryCheck(members: 2)
        for sequence in acknowledged { check.acknowledged(sequence, of: 0, number: Int64(sequence) + 1) }
        for sequence in deliveries {
            check.delivered(sequence, from: 0, to: 1, number: Int64(sequence) + 1)
        }
        return check
    }
}

@Suite("Parts of the load generator")
struct BenchPartsTests {
    @Test("quantiles are right within a thirty-second, over nine orders of magnitude")
    func histogram() {
        for scale in [1, 1_000, 1_000_000, 1_000_000_000] as [UInt64] {
            var histogram = Histogram()
            for value in 1...1_000 as ClosedRange<UInt64> { histogram.record(value * scale) }
            for (share, exact) in [(0.5, 500), (0.99, 990), (0.999, 999), (1, 1_000)]
                as [(Double, UInt64)]
            {
                let error = Double(histogram.quantile(share)) / Double(exact * scale) - 1
                #expect(error >= 0 && error <= 1.0 / 32)
            }
        }
        #expect(Histogram().quantile(0.99) == 0)
    }

    @Test("a generated text has its size and says what was put into it, but not to another run")
    func text() {
        var text = BenchText(run: 12_345, member: 7, size: 200)
        let written = text.text(sequence: 98_765, sentAt: 1_234_567_890_123)

        #expect(written.utf8.count == 200)
        #expect(
            BenchText.read(written, run: 12_345)
                == BenchText.Stamp(member: 7, sequence: 98_765, sentAt: 1_234_567_890_123))
        #expect(BenchText.read(written, run: 12_346) == nil)
        #expect(BenchText.read("hello", run: 12_345) == nil)
    }

    @Test("a report is a table for people and one JSON object for programs")
    func report() {
        let report = BenchReport(
            lines: [
                .init("a", "A", .count(3)),
                .init("b", "B", .group([.init("c", "C", .number(1.25, digits: 2))])),
            ], faults: ["wrong"])

        #expect(report.json == #"{"a":3,"b":{"c":1.25},"ok":0}"#)
        #expect(report.text.contains("FAULT: wrong"))
        #expect(decimal(-0.05, 1) == "-0.1")
        #expect(decimal(12.0, 0) == "12")
    }
}
