import Domain

extension DeliveryHistory {
    /// All promises that this history breaks; empty when everything is as it must be.
    ///
    /// Time and memory grow with the history's length only (and its logarithm, where something is sorted): each
    /// message's place is known, so no order has to be searched for.
    func brokenPromises() -> [BrokenPromise] {
        let sends = Dictionary(grouping: sends, by: \.thread)
        var finals: [Place: View] = [:]
        for view in views where finals[Place(view.reader, view.thread)] == nil {
            finals[Place(view.reader, view.thread)] = view
        }
        return unread(sends) + views.flatMap { check($0, sends[$0.thread] ?? []) }
            + streams.flatMap { check($0, sends[$0.thread] ?? [], finals[Place($0.reader, $0.thread)]) }
            + disagreements() + sends.values.flatMap(overtakings) + backwardMarks()
            + staleReads(sends) + reads.flatMap { rewritten($0, finals[Place($0.reader, $0.thread)]) }
            + wrongfulService() + doubledMails()
    }

    private struct Place: Hashable {
        let reader: String
        let thread: MessageThread.ID

        init(_ reader: String, _ thread: MessageThread.ID) {
            self.reader = reader
            self.thread = thread
        }
    }

    /// What nobody looks at is not thereby kept.
    private func unread(_ sends: [MessageThread.ID: [Send]]) -> [BrokenPromise] {
        let viewed = Set(views.map(\.thread))
        return sends.filter { thread, sends in
            !viewed.contains(thread)
                && sends.contains { if case .acknowledged = $0.outcome { true } else { false } }
        }.keys.sorted { $0.rawValue < $1.rawValue }.map { .unread($0) }
    }

    private func check(_ view: View, _ sends: [Send]) -> [BrokenPromise] {
        let place = "\(view.reader) at \(view.source)"
        var broken: [BrokenPromise] = []
        for (index, line) in view.lines.enumerated() where line.number != EntryNumber(index + 1) {
            broken.append(.gap(before: line.number, at: place))
            break
        }
        broken += rising(view.lines, place)
        return broken + countSends(in: view.lines, of: sends, place)
    }

    private func check(_ stream: Stream, _ sends: [Send], _ final: View?) -> [BrokenPromise] {
        let place = "\(stream.reader) live"
        // Whether an own message comes as an entry too is left open by the protocol.
        let others = sends.filter { $0.author != stream.reader }
        let own = Set(sends.filter { $0.author == stream.reader }.map(\.id))
        let lines = stream.lines.filter { line in line.id.map { !own.contains($0) } ?? true }
        var broken = rising(stream.lines, place) + countSends(in: lines, of: others, place)
        if let final {
            let known = Set(final.lines)
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
    ///
    /// From the last place to the first: whatever stands later must not have been acknowledged before this was sent.
    private func overtakings(_ sends: [Send]) -> [BrokenPromise] {
        let placed = sends.compactMap { send -> (send: Send, number: EntryNumber)? in
            guard case .acknowledged(_, let number) = send.outcome else { return nil }
            return (send, number)
        }
        var broken: [BrokenPromise] = []
        var earliest: ContinuousClock.Instant?
        for (send, _) in placed.sorted(by: { $0.number > $1.number }) {
            if let earliest, earliest < send.invoked { broken.append(.overtaken(send.id)) }
            earliest = min(earliest ?? send.answered, send.answered)
        }
        return broken.reversed()
    }

    private func backwardMarks() -> [BrokenPromise] {
        var ends: [MessageThread.ID: EntryNumber] = [:]
        for view in views where ends[view.thread] == nil { ends[view.thread] = view.lines.last?.number }
        return marks.flatMap { stream -> [BrokenPromise] in
            let place = "\(stream.watcher) live"
            let last = ends[stream.thread] ?? .max
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

// MARK: - Reads

extension DeliveryHistory {
    private struct Sighting {
        let at: ContinuousClock.Instant
        let number: EntryNumber
    }

    /// A read holds at least what anybody had been told, or had seen, before it began.
    private func staleReads(_ sends: [MessageThread.ID: [Send]]) -> [BrokenPromise] {
        let streams = Dictionary(grouping: streams, by: \.thread)
        return Dictionary(grouping: reads, by: \.thread).flatMap { thread, reads -> [BrokenPromise] in
            let sightings = Self.sightings(sends[thread] ?? [], streams[thread] ?? [], reads)
            var waiting = sightings.sorted { $0.at < $1.at }[...]
            var highest: EntryNumber = 0
            var broken: [BrokenPromise] = []
            for read in reads.sorted(by: { $0.invoked < $1.invoked }) {
                while let next = waiting.first, next.at < read.invoked {
                    highest = max(highest, next.number)
                    waiting.removeFirst()
                }
                if read.lines.last?.number ?? 0 < highest {
                    broken.append(.stale(upTo: highest, at: "\(read.reader) at \(read.source)"))
                }
            }
            return broken
        }
    }

    private static func sightings(_ sends: [Send], _ streams: [Stream], _ reads: [Read]) -> [Sighting] {
        let told = sends.compactMap { send -> Sighting? in
            guard case .acknowledged(_, let number) = send.outcome else { return nil }
            return Sighting(at: send.answered, number: number)
        }
        let seen = streams.flatMap { stream in
            zip(stream.arrivals, stream.lines).map { Sighting(at: $0, number: $1.number) }
        }
        return told + seen
            + reads.map { Sighting(at: $0.answered, number: $0.lines.last?.number ?? 0) }
    }

    /// A read is the beginning of what the thread holds in the end.
    private func rewritten(_ read: Read, _ final: View?) -> [BrokenPromise] {
        guard let final else { return [] }
        let place = "\(read.reader) at \(read.source)"
        let different = zip(read.lines, final.lines).first { was, now in
            was.position != now.position || was.number != now.number || was.id != now.id
        }
        if let (line, _) = different { return [.rewritten(line.number, at: place)] }
        guard read.lines.count > final.lines.count else { return [] }
        return [.rewritten(read.lines[final.lines.count].number, at: place)]
    }
}

// MARK: - Servers and mails

extension DeliveryHistory {
    /// Whoever accepts a message holds the slot, under that token, at that moment; and no more hold one than may.
    private func wrongfulService() -> [BrokenPromise] {
        var broken: [BrokenPromise] = []
        var holders: [String: Grant] = [:]
        var grants = grants.sorted { $0.order < $1.order }[...]
        func grant(before order: Int64) {
            while let next = grants.first, next.order < order {
                grants.removeFirst()
                holders[next.slot] = next.token == nil ? nil : next
                if let serverLimit, holders.count > serverLimit {
                    broken.append(.tooManyServers(holders.count, limit: serverLimit))
                }
            }
        }
        for acceptance in acceptances.sorted(by: { $0.order < $1.order }) {
            grant(before: acceptance.order)
            let holder = holders[acceptance.slot]
            if holder?.server != acceptance.server || holder?.token != acceptance.token {
                broken.append(
                    .servedWithoutRight(server: acceptance.server, position: acceptance.position))
            }
        }
        grant(before: .max)
        return broken
    }

    /// One incident, opened by one server, told to each once: copies under the same Message-ID are one e-mail.
    private func doubledMails() -> [BrokenPromise] {
        Dictionary(grouping: mails, by: \.incident).sorted { $0.key < $1.key }.flatMap { incident, mails in
            let twice = Dictionary(grouping: mails, by: \.recipient).sorted { $0.key < $1.key }
                .filter { Set($0.value.map(\.messageID)).count > 1 }
                .map { BrokenPromise.mailedTwice(incident: incident, recipient: $0.key) }
            return Set(mails.map(\.openedBy)).count > 1 ? twice + [.openedTwice(incident: incident)] : twice
        }
    }
}
