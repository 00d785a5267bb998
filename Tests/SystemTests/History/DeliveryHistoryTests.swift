import Domain
import Testing

@testable import SystemSupport

@Suite("The checker of deliveries")
struct DeliveryHistoryTests {
    private static let thread = MessageThread.ID(rawValue: 7)
    private static let ids = (0..<6).map { ClientID(high: 1, low: $0) }
    private static let start = ContinuousClock.now

    /// Ann sends four messages that Bob and Cid get; a fifth is unknown and stored, a sixth refused.
    private static func sound() -> DeliveryHistory {
        var history = DeliveryHistory()
        var lines = [DeliveryHistory.Line(position: 10, number: 1, id: nil, isMessage: false)]
        for (index, id) in ids.enumerated() {
            let place = (position: LogPosition(11 + index), number: EntryNumber(2 + index))
            let outcome: DeliveryHistory.Outcome =
                switch index {
                case 0..<4: .acknowledged(position: place.position, number: place.number)
                case 4: .unknown
                default: .refused
                }
            history.sends.append(
                .init(
                    id: id, author: "ann", thread: thread, invoked: start + .seconds(index),
                    answered: start + .seconds(index) + .milliseconds(500), outcome: outcome))
            if index < 5 {
                lines.append(
                    .init(position: place.position, number: place.number, id: id, isMessage: true))
            }
        }
        for reader in ["bob", "cid"] {
            history.streams.append(.init(reader: reader, thread: thread, lines: Array(lines.dropFirst())))
            history.views.append(.init(reader: reader, source: "web", thread: thread, lines: lines))
        }
        history.marks.append(
            .init(watcher: "ann", thread: thread, receipts: [receipt(2, 1), receipt(4, 1), receipt(6, 6)]))
        return history
    }

    private static func receipt(_ delivered: EntryNumber, _ read: EntryNumber) -> Receipt {
        Receipt(user: User.ID(rawValue: 3), delivered: delivered, read: read)
    }

    @Test(
        "a thread with acknowledged messages that nobody read in the end is reported; without any it is not")
    func unread() {
        var history = Self.sound()
        history.views = []
        history.streams = []
        history.marks = []
        #expect(history.brokenPromises() == [.unread(Self.thread)])

        history.sends.removeAll { if case .acknowledged = $0.outcome { true } else { false } }
        #expect(history.brokenPromises().isEmpty)
    }

    @Test("a sound history breaks no promise")
    func soundHistory() {
        #expect(Self.sound().brokenPromises().isEmpty)
    }

    @Test("an unknown message may be missing")
    func unknownMayBeMissing() {
        var history = Self.sound()
        for index in 0..<2 {
            history.views[index].lines.removeLast()
            history.streams[index].lines.removeLast()
        }
        history.marks = []

        #expect(history.brokenPromises().isEmpty)
    }

    @Test("a message missing live or in the end is reported as lost")
    func lost() {
        var live = Self.sound()
        live.streams[0].lines.remove(at: 1)
        var final = Self.sound()
        final.views[1].lines.remove(at: 2)

        #expect(live.brokenPromises() == [.lost(Self.ids[1], at: "bob live")])
        #expect(final.brokenPromises().contains(.lost(Self.ids[1], at: "cid at web")))
    }

    @Test("a message that is there twice is reported as doubled")
    func doubled() {
        var live = Self.sound()
        live.streams[0].lines.insert(live.streams[0].lines[1], at: 2)
        var final = Self.sound()
        for index in 0..<2 {
            final.views[index].lines.append(.init(position: 99, number: 7, id: Self.ids[4], isMessage: true))
        }

        #expect(live.brokenPromises().contains(.doubled(Self.ids[1], at: "bob live")))
        #expect(
            final.brokenPromises() == [
                .doubled(Self.ids[4], at: "bob at web"), .doubled(Self.ids[4], at: "cid at web"),
            ])
    }

    @Test("lines that come in another order are reported")
    func reordered() {
        var history = Self.sound()
        history.streams[0].lines.swapAt(1, 2)

        #expect(history.brokenPromises() == [.reordered(position: 12, at: "bob live")])
    }

    @Test("what nobody sent, and what was refused, is reported as a phantom")
    func phantom() {
        var unsent = Self.sound()
        let stranger = ClientID(high: 9, low: 9)
        unsent.streams[0].lines.append(.init(position: 99, number: 7, id: stranger, isMessage: true))
        var refused = Self.sound()
        for index in 0..<2 {
            refused.views[index].lines.append(
                .init(position: 99, number: 7, id: Self.ids[5], isMessage: true))
        }

        #expect(unsent.brokenPromises().contains(.phantom(stranger, at: "bob live")))
        #expect(
            refused.brokenPromises() == [
                .phantom(Self.ids[5], at: "bob at web"), .phantom(Self.ids[5], at: "cid at web"),
            ])
    }

    @Test("a hole in a thread's numbers is reported")
    func gap() {
        var history = Self.sound()
        history.streams = []
        for index in 0..<2 { history.views[index].lines.remove(at: 5) }
        for index in 0..<2 {
            history.views[index].lines.append(.init(position: 98, number: 7, id: nil, isMessage: false))
        }

        #expect(
            history.brokenPromises() == [
                .gap(before: 7, at: "bob at web"), .gap(before: 7, at: "cid at web"),
            ])
    }

    @Test("an acknowledgement that names another place is reported")
    func misplaced() {
        var history = Self.sound()
        history.sends[3].outcome = .acknowledged(position: 14, number: 6)

        #expect(history.brokenPromises().contains(.misplaced(Self.ids[3], at: "bob at web")))
    }

    @Test("people who read different histories are reported")
    func disagreement() {
        var history = Self.sound()
        history.streams = []
        history.views[1].lines[5].id = nil
        history.views[1].lines[5].isMessage = false

        #expect(history.brokenPromises() == [.disagreement("bob at web", "cid at web")])
    }

    @Test("a message that stands before one acknowledged before it was sent is reported")
    func overtaken() {
        var history = Self.sound()
        history.sends[0].invoked = Self.start + .seconds(8)
        history.sends[0].answered = Self.start + .seconds(9)

        #expect(history.brokenPromises() == [.overtaken(Self.ids[0])])
    }

    @Test("receipts that go back, or beyond the thread's end, are reported")
    func marks() {
        let broken = BrokenPromise.marksBackward(User.ID(rawValue: 3), at: "ann live")
        var backward = Self.sound()
        backward.marks[0].receipts.append(Self.receipt(5, 6))
        var beyond = Self.sound()
        beyond.marks[0].receipts.append(Self.receipt(99, 6))

        #expect(backward.brokenPromises() == [broken])
        #expect(beyond.brokenPromises() == [broken])
    }
}
