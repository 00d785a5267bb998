import Testing

@testable import Drill

@Suite("Interruptions")
struct InterruptionTests {
    @Test("a drill in which everything is answered at once has none")
    func none() {
        #expect(InterruptionFinder.interruptions(in: RecordMaker.record()).isEmpty)
    }

    @Test("one is found where it was, as long as it was, within a path's spacing")
    func found() throws {
        let record = RecordMaker.record(outages: [(from: 7, to: 8.5, paths: [0, 1])])

        let found = InterruptionFinder.interruptions(in: record)

        let interruption = try #require(found.first)
        #expect(found.count == 1)
        #expect(interruption.began.isWithin(0.2, of: 7))
        #expect(interruption.ended?.isWithin(0.05, of: 8.5) == true)
        #expect(Set(interruption.gaps.keys) == [0, 1])
        #expect(interruption.gaps.values.allSatisfy { $0.isWithin(0.2, of: 1.5) })
    }

    @Test("paths that stand still at the same time are one, at different times they are two")
    func merged() {
        let overlapping = RecordMaker.record(outages: [
            (from: 7, to: 9, paths: [0]), (from: 8, to: 10, paths: [1]),
        ])
        let apart = RecordMaker.record(outages: [
            (from: 5, to: 6, paths: [0]), (from: 10, to: 11, paths: [0, 1, 2]),
        ])

        #expect(InterruptionFinder.interruptions(in: overlapping).map(\.gaps.count) == [2])
        #expect(InterruptionFinder.interruptions(in: apart).map(\.gaps.count) == [1, 3])
    }

    @Test("one that is not over at the end is open, and everything after it belongs to it")
    func open() throws {
        let record = RecordMaker.record(outages: [
            (from: 15, to: nil, paths: [2]), (from: 18, to: 19, paths: [0]),
        ])

        let found = InterruptionFinder.interruptions(in: record)

        #expect(found.count == 1)
        #expect(found.first?.isOver == false)
        #expect(found.first?.gaps[2]?.isWithin(0.3, of: 6) == true)
    }

    @Test("time in which nothing is sent is no interruption, however long")
    func idle() {
        var record = RecordMaker.record()
        record.messages.removeAll { $0.sentAt > .seconds(5) && $0.sentAt < .seconds(15) }

        #expect(InterruptionFinder.interruptions(in: record).isEmpty)
    }

    @Test("what is slow as usual is none: the bound is ten times the median, and 200 ms at least")
    func threshold() {
        var slow = RecordMaker.record()
        for index in slow.messages.indices {
            guard let answer = slow.messages[index].answer else { continue }
            slow.messages[index].answer = .init(
                at: answer.at + .milliseconds(95), position: answer.position, number: answer.number,
                route: answer.route)
        }

        #expect(InterruptionFinder.threshold(of: RecordMaker.record()) == .milliseconds(200))
        #expect(InterruptionFinder.threshold(of: slow) == .seconds(1))
    }

    @Test("the message that is answered while others of its path still wait begins a new wait")
    func waitsAfterAnswers() {
        var record = RecordMaker.record(seconds: 2)
        let own = record.messages.indices.filter { record.messages[$0].path == 0 }
        // The first is answered at once, all others at second 2.
        for index in own.dropFirst() {
            guard let answer = record.messages[index].answer else { continue }
            record.messages[index].answer = .init(
                at: .seconds(2), position: answer.position, number: answer.number, route: answer.route)
        }

        let silences = InterruptionFinder.silences(in: record, longerThan: .milliseconds(200))

        #expect(silences.map(\.path) == [0])
        #expect(silences.first?.began == .milliseconds(200))
        #expect(silences.first?.length == .milliseconds(1_800))
    }

    @Test("quantiles are values that occurred, by nearest rank")
    func quantiles() {
        let values = (1...100).map { Duration.milliseconds($0) }

        #expect(Quantile.of(values, 0.5) == .milliseconds(50))
        #expect(Quantile.of(values, 0.99) == .milliseconds(99))
        #expect(Quantile.of(values, 1) == .milliseconds(100))
        #expect(Quantile.of([.seconds(3)], 0.01) == .seconds(3))
        #expect(Quantile.of([], 0.5) == .zero)
    }

    @Test("sessions that go over to another server are seen, though nobody has to wait")
    func takeovers() throws {
        var record = RecordMaker.record()
        for path in [0, 1] {
            record.routes.append(
                .init(path: path, at: .milliseconds(7_000 + path), what: RecordMaker.route(path + 2)))
        }
        record.reconnects.append(.init(path: 3, at: .seconds(12), what: 0))
        record.routes.append(.init(path: 3, at: .seconds(12), what: RecordMaker.route(2)))

        let found = Takeover.all(in: record)

        #expect(InterruptionFinder.interruptions(in: record).isEmpty)
        #expect(found.map(\.at) == [.seconds(7), .seconds(12)])
        #expect(found.map(\.moved) == [2, 0])
        #expect(found.map(\.reconnected) == [0, 1])
        #expect(found.map(\.from) == [["10.0.0.1:7400"], ["http://web-2:8080"]])
        #expect(found.map(\.to) == [["10.0.0.2:7400"], ["http://web-1:8080"]])
        #expect(found.allSatisfy { $0.longestWait == .milliseconds(5) })
    }

    @Test("the cause is the server that just those paths went through which stood still")
    func cause() throws {
        func cause(_ paths: Set<Int>) throws -> Cause {
            let record = RecordMaker.record(outages: [(from: 7, to: 8, paths: paths)])
            return Cause(try #require(InterruptionFinder.interruptions(in: record).first), record)
        }

        #expect(try cause([0, 1]).text.contains("ASM Service 10.0.0.1:7400"))
        #expect(try cause([1, 3]).text.contains("Web Service http://web-2:8080"))
        #expect(try cause([0, 1, 2, 3]).text.contains("everything"))
        #expect(try cause([0, 1, 2]).text.contains("3 of 4"))
    }

    @Test("one path alone that stood still: its Web Service if it had to connect anew, else its ASM Service")
    func causeOfOnePath() throws {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [1])])
        let interruption = try #require(InterruptionFinder.interruptions(in: record).first)
        #expect(Cause(interruption, record).text.contains("ASM Service 10.0.0.1:7400"))

        record.reconnects = [.init(path: 1, at: .seconds(12), what: 0)]
        #expect(Cause(interruption, record).text.contains("ASM Service 10.0.0.1:7400"))
        record.reconnects = [.init(path: 1, at: .seconds(7.9), what: 0)]
        #expect(Cause(interruption, record).text.contains("Web Service http://web-2:8080"))
    }
}
