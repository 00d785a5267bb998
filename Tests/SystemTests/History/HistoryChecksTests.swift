import Domain
import Foundation
import Testing

@testable import SystemSupport

/// Histories made up so that each breaks one promise: a check that cannot fail checks nothing.
@Suite("The checker of reads, servers and e-mails")
struct HistoryChecksTests {
    private static let thread = MessageThread.ID(rawValue: 7)
    private static let start = ContinuousClock.now

    private static func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    private static func id(_ number: Int) -> ClientID { ClientID(high: 1, low: UInt64(number)) }

    private static func line(_ number: Int) -> DeliveryHistory.Line {
        .init(
            position: LogPosition(10 + number), number: EntryNumber(number), id: id(number), isMessage: true)
    }

    /// Ann sends four messages, one a second; Bob sees each after a tenth of a second and reads the thread after each.
    private static func sound() -> DeliveryHistory {
        var history = DeliveryHistory()
        for number in 1...4 {
            let time = Double(number)
            history.sends.append(
                .init(
                    id: id(number), author: "ann", thread: thread, invoked: at(time),
                    answered: at(time + 0.1),
                    outcome: .acknowledged(
                        position: LogPosition(10 + number), number: EntryNumber(number))))
            history.reads.append(read(1...number, from: time + 0.5))
        }
        history.streams.append(
            .init(
                reader: "bob", thread: thread, lines: (1...4).map(line),
                arrivals: (1...4).map { at(Double($0) + 0.2) }))
        history.views.append(.init(reader: "bob", source: "web", thread: thread, lines: (1...4).map(line)))
        return history
    }

    private static func read(_ numbers: ClosedRange<Int>, from time: Double) -> DeliveryHistory.Read {
        .init(
            reader: "bob", source: "web", thread: thread, invoked: at(time), answered: at(time + 0.1),
            lines: numbers.map(line))
    }

    @Test("a sound history with reads breaks no promise")
    func soundHistory() {
        #expect(Self.sound().brokenPromises().isEmpty)
    }

    @Test("a read without what had been acknowledged before it began is stale; one that began earlier is not")
    func stale() {
        var history = Self.sound()
        history.reads.append(Self.read(1...2, from: 3.05))
        #expect(history.brokenPromises().isEmpty)

        history.reads.append(Self.read(1...2, from: 3.5))
        #expect(history.brokenPromises() == [.stale(upTo: 3, at: "bob at web")])
    }

    @Test("a read without what somebody had seen, or read, before it began is stale too")
    func staleAfterSight() {
        var seen = Self.sound()
        seen.reads = [Self.read(1...3, from: 4.5)]
        seen.sends[3].outcome = .unknown
        var read = seen
        read.streams[0].arrivals = []
        read.reads.append(Self.read(1...4, from: 4.2))

        #expect(seen.brokenPromises() == [.stale(upTo: 4, at: "bob at web")])
        #expect(read.brokenPromises() == [.stale(upTo: 4, at: "bob at web")])
    }

    @Test("a read that is no beginning of what there is in the end is reported")
    func rewritten() {
        var other = Self.sound()
        other.reads[2].lines[1].id = Self.id(9)
        var longer = Self.sound()
        longer.reads[3].lines.append(Self.line(5))

        #expect(other.brokenPromises() == [.rewritten(2, at: "bob at web")])
        #expect(longer.brokenPromises() == [.rewritten(5, at: "bob at web")])
    }

    /// Two servers hold two slots; the first slot goes over to a third server.
    private static func licensed() -> DeliveryHistory {
        var history = DeliveryHistory()
        history.serverLimit = 2
        history.grants = [
            .init(server: "a", slot: "1", token: "t1", order: 1),
            .init(server: "b", slot: "2", token: "t1", order: 2),
            .init(server: "c", slot: "1", token: "t2", order: 5),
        ]
        history.acceptances = [
            .init(server: "a", slot: "1", token: "t1", position: 11, order: 3),
            .init(server: "b", slot: "2", token: "t1", position: 12, order: 4),
            .init(server: "c", slot: "1", token: "t2", position: 13, order: 6),
        ]
        return history
    }

    @Test("servers that accept by the slot that they hold break no promise")
    func licensedHistory() {
        #expect(Self.licensed().brokenPromises().isEmpty)
    }

    @Test("a message accepted by a server whose slot another has, or that never had one, is reported")
    func zombie() {
        var late = Self.licensed()
        late.acceptances.append(.init(server: "a", slot: "1", token: "t1", position: 14, order: 7))
        var never = Self.licensed()
        never.acceptances.append(.init(server: "d", slot: "3", token: "t1", position: 14, order: 7))
        var returned = Self.licensed()
        returned.grants.append(.init(server: "b", slot: "2", token: nil, order: 7))
        returned.acceptances.append(.init(server: "b", slot: "2", token: "t1", position: 14, order: 8))

        #expect(late.brokenPromises() == [.servedWithoutRight(server: "a", position: 14)])
        #expect(never.brokenPromises() == [.servedWithoutRight(server: "d", position: 14)])
        #expect(returned.brokenPromises() == [.servedWithoutRight(server: "b", position: 14)])
    }

    @Test(
        "the database's notes of a message without slot or token are no parser's error, but served without right"
    )
    func writtenWithoutRight() throws {
        let rows = """
            1|a|slot 1|t1|0
            2|a|slot 1|t1|11
            3|a|slot 1|-|0
            4|a|slot 1||12
            5|b|||13

            """
        var history = DeliveryHistory()
        try RightsLog.take(rows, into: &history)

        #expect(
            history.brokenPromises() == [
                .servedWithoutRight(server: "a", position: 12),
                .servedWithoutRight(server: "b", position: 13),
            ])
        #expect(throws: RightsLog.Failure.self) { try RightsLog.take("1|a|slot 1|t1", into: &history) }
    }

    @Test("more servers with a slot than are licensed are reported; a slot given back makes room")
    func tooMany() {
        var many = Self.licensed()
        many.grants.append(.init(server: "d", slot: "3", token: "t1", order: 7))
        var replaced = Self.licensed()
        replaced.grants.append(.init(server: "b", slot: "2", token: nil, order: 7))
        replaced.grants.append(.init(server: "d", slot: "3", token: "t1", order: 8))

        #expect(many.brokenPromises() == [.tooManyServers(3, limit: 2)])
        #expect(replaced.brokenPromises().isEmpty)
    }

    @Test(
        "one incident is one e-mail for each address: copies under one Message-ID are one, two of them are not"
    )
    func mails() {
        var history = DeliveryHistory()
        history.mails = [
            .init(messageID: "<1.ops@a>", incident: "1", recipient: "ops@a", openedBy: "a"),
            .init(messageID: "<1.ops@a>", incident: "1", recipient: "ops@a", openedBy: "a"),
            .init(messageID: "<1.it@a>", incident: "1", recipient: "it@a", openedBy: "a"),
            .init(messageID: "<2.ops@a>", incident: "2", recipient: "ops@a", openedBy: "b"),
        ]
        #expect(history.brokenPromises().isEmpty)

        history.mails.append(
            .init(messageID: "<9.ops@a>", incident: "1", recipient: "ops@a", openedBy: "b"))
        #expect(
            history.brokenPromises() == [
                .mailedTwice(incident: "1", recipient: "ops@a"), .openedTwice(incident: "1"),
            ])
    }

    @Test("the summary counts outcomes, and the time from the acknowledgement until it was seen")
    func summary() {
        var history = Self.sound()
        history.sends[2].outcome = .unknown
        history.sends.append(
            .init(
                id: Self.id(5), author: "ann", thread: Self.thread, invoked: Self.at(5),
                answered: Self.at(6), outcome: .unknown))
        history.sends.append(
            .init(
                id: Self.id(6), author: "ann", thread: Self.thread, invoked: Self.at(6),
                answered: Self.at(7), outcome: .refused))

        let summary = HistorySummary(history)

        #expect(summary.acknowledged == 3 && summary.refused == 1)
        #expect(summary.recovered == 1 && summary.absent == 1)
        let latency = summary.latency(percentile: 50) ?? .zero
        #expect(latency > .milliseconds(99) && latency < .milliseconds(101))
    }

    @Test("a history of 50,000 messages is checked within seconds", .timeLimit(.minutes(1)))
    func large() {
        var history = DeliveryHistory()
        let lines = (1...50_000).map(Self.line)
        for line in lines {
            history.sends.append(
                .init(
                    id: line.id ?? Self.id(0), author: "ann", thread: Self.thread,
                    invoked: Self.at(Double(line.number)), answered: Self.at(Double(line.number) + 0.5),
                    outcome: .acknowledged(position: line.position, number: line.number)))
        }
        for reader in ["bob", "cid", "dee"] {
            history.streams.append(.init(reader: reader, thread: Self.thread, lines: lines))
            history.views.append(.init(reader: reader, source: "web", thread: Self.thread, lines: lines))
        }
        let began = ContinuousClock.now

        #expect(history.brokenPromises().isEmpty)
        #expect(ContinuousClock.now - began < .seconds(20))
    }
}
