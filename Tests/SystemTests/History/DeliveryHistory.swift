import Domain

/// What was sent, what everybody saw live, and what was found in the end: enough to say whether a promise
/// was broken.
///
/// A pure value, so that the checker itself can be checked with histories made up.
struct DeliveryHistory: Sendable {
    enum Outcome: Hashable, Sendable {
        case acknowledged(position: LogPosition, number: EntryNumber)
        /// Refused for good.
        case refused
        /// Nobody knows: it may be there once, or not at all.
        case unknown
    }

    /// A message that somebody sent, over all its repetitions.
    struct Send: Hashable, Sendable {
        var id: ClientID
        var author: String
        var thread: MessageThread.ID
        var invoked: ContinuousClock.Instant
        var answered: ContinuousClock.Instant
        var outcome: Outcome
    }

    /// One line of a thread as somebody got it.
    struct Line: Hashable, Sendable {
        var position: LogPosition
        var number: EntryNumber
        var id: ClientID?
        var isMessage: Bool
    }

    /// Everything that one person was sent of a thread while connected, in the order of arrival.
    struct Stream: Hashable, Sendable {
        var reader: String
        var thread: MessageThread.ID
        var lines: [Line]
    }

    /// A thread's whole history as one person read it from one server in the end.
    struct View: Hashable, Sendable {
        var reader: String
        var source: String
        var thread: MessageThread.ID
        var lines: [Line]
    }

    /// The receipts of one person in a thread, as another one was told, in the order of arrival.
    struct MarkStream: Hashable, Sendable {
        var watcher: String
        var thread: MessageThread.ID
        var receipts: [Receipt]
    }

    var sends: [Send] = []
    var streams: [Stream] = []
    var views: [View] = []
    var marks: [MarkStream] = []
}

/// A promise that was broken, and where.
enum BrokenPromise: Hashable, Sendable {
    /// An acknowledged message is missing.
    case lost(ClientID, at: String)
    /// One message is there more than once.
    case doubled(ClientID, at: String)
    /// Something is there that nobody sent, or that was refused, or that only some saw.
    case phantom(ClientID?, at: String)
    /// Positions or numbers do not rise.
    case reordered(position: LogPosition, at: String)
    /// The numbers of a thread are not 1, 2, 3 ….
    case gap(before: EntryNumber, at: String)
    /// The place that was acknowledged is not where the message is.
    case misplaced(ClientID, at: String)
    /// Two people, or one person at two servers, do not read the same.
    case disagreement(String, String)
    /// A message that was sent after another's acknowledgement stands before it.
    case overtaken(ClientID)
    /// Delivered or read moved backward, or beyond the thread's end.
    case marksBackward(User.ID, at: String)
}

extension DeliveryHistory {
    /// All promises that this history breaks; empty when everything is as it must be.
    func brokenPromises() -> [BrokenPromise] {
        views.flatMap(check) + streams.flatMap(check) + disagreements() + overtakings() + backwardMarks()
    }

    private func check(_ view: View) -> [BrokenPromise] {
        let place = "\(view.reader) at \(view.source)"
        var broken: [BrokenPromise] = []
        for (index, line) in view.lines.enumerated() where line.number != EntryNumber(index + 1) {
            broken.append(.gap(before: line.number, at: place))
            break
        }
        broken += rising(view.lines, place)
        return broken + countSends(in: view.lines, of: sends.filter { $0.thread == view.thread }, place)
    }

    private func check(_ stream: Stream) -> [BrokenPromise] {
        let place = "\(stream.reader) live"
        // Whether an own message comes as an entry too is left open by the protocol.
        let others = sends.filter { $0.thread == stream.thread && $0.author != stream.reader }
        let own = Set(sends.filter { $0.author == stream.reader }.map(\.id))
        let lines = stream.lines.filter { line in line.id.map { !own.contains($0) } ?? true }
        var broken = rising(stream.lines, place) + countSends(in: lines, of: others, place)
        for view in views where view.thread == stream.thread && view.reader == stream.reader {
            let known = Set(view.lines)
            broken += stream.lines.filter { !known.contains($0) }.map { .phantom($0.id, at: place) }
        }
        return broken
    }

    private func rising(_ lines: [Line], _ place: String) -> [BrokenPromise] {
        zip(lines, lines.dropFirst())
            .filter { $0.position >= $1.position || $0.number >= $1.number }
            .map { .reordered(position: $1.position, at: place) }
    }

    /// Acknowledged: once, where it was said to be. Refused: never. Unknown: at most once.
    private func countSends(in lines: [Line], of sends: [Send], _ place: String) -> [BrokenPromise] {
        var broken: [BrokenPromise] = []
        let found = Dictionary(grouping: lines.filter { $0.id != nil && $0.isMessage }) { $0.id }
        for send in sends {
            let copies = found[send.id] ?? []
            if copies.count > 1 { broken.append(.doubled(send.id, at: place)) }
            switch send.outcome {
            case .acknowledged(let position, let number):
                if copies.isEmpty { broken.append(.lost(send.id, at: place)) }
                if copies.contains(where: { $0.position != position || $0.number != number }) {
                    broken.append(.misplaced(send.id, at: place))
                }
            case .refused: if !copies.isEmpty { broken.append(.phantom(send.id, at: place)) }
            case .unknown: break
            }
        }
        let sent = Set(sends.map(\.id))
        for line in lines where line.isMessage {
            if let id = line.id, sent.contains(id) { continue }
            broken.append(.phantom(line.id, at: place))
        }
        return broken
    }

    private func disagreements() -> [BrokenPromise] {
        Dictionary(grouping: views, by: \.thread).values.flatMap { views -> [BrokenPromise] in
            guard let first = views.first else { return [] }
            return views.dropFirst().filter { $0.lines != first.lines }.map {
                .disagreement("\(first.reader) at \(first.source)", "\($0.reader) at \($0.source)")
            }
        }
    }

    /// Acknowledged before another was sent: stands before it.
    private func overtakings() -> [BrokenPromise] {
        var broken: [BrokenPromise] = []
        for sends in Dictionary(grouping: sends, by: \.thread).values {
            let placed = sends.compactMap { send -> (send: Send, number: EntryNumber)? in
                guard case .acknowledged(_, let number) = send.outcome else { return nil }
                return (send, number)
            }
            var answered = placed.sorted { $0.send.answered < $1.send.answered }[...]
            var highest: EntryNumber = 0
            for (send, number) in placed.sorted(by: { $0.send.invoked < $1.send.invoked }) {
                while let next = answered.first, next.send.answered < send.invoked {
                    highest = max(highest, next.number)
                    answered.removeFirst()
                }
                if number < highest { broken.append(.overtaken(send.id)) }
            }
        }
        return broken
    }

    private func backwardMarks() -> [BrokenPromise] {
        marks.flatMap { stream -> [BrokenPromise] in
            let place = "\(stream.watcher) live"
            let last = views.first { $0.thread == stream.thread }?.lines.last?.number ?? .max
            return Dictionary(grouping: stream.receipts, by: \.user).compactMap { user, receipts in
                let backward = zip(receipts, receipts.dropFirst()).contains {
                    $1.delivered < $0.delivered || $1.read < $0.read
                }
                let beyond = receipts.contains { $0.delivered > last || $0.read > last }
                return backward || beyond ? .marksBackward(user, at: place) : nil
            }
        }
    }
}
