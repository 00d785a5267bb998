import Domain
import Store

/// What a log must do, in the simplest way: users are numbers, and everything is kept in memory.
struct LogModel {
    struct Place: Equatable {
        var joined: EntryNumber
        var left: EntryNumber?
        var delivered: EntryNumber
        var read: EntryNumber
        var earlier: [ClosedRange<EntryNumber>] = []

        /// All numbers that somebody with this place could see, of a thread that ends at `last`.
        func visible(upTo last: EntryNumber) -> [EntryNumber] {
            let end = left ?? last
            return earlier.flatMap { Array($0) } + (joined > end ? [] : Array(joined...end))
        }
    }

    struct Line: Equatable {
        let position: LogPosition
        let author: Int
        var isMessage: Bool
        /// Of the entry that recalled it.
        var recall: EntryNumber?
    }

    struct Thread {
        /// What people see: line `n` has the number `n + 1`.
        var lines: [Line] = []
        var places: [Int: Place] = [:]

        var last: EntryNumber { EntryNumber(lines.count) }

        func has(_ user: Int) -> Bool { places[user].map { $0.left == nil } ?? false }
    }

    private struct Request: Hashable {
        let author: Int
        let id: ClientID
    }

    private(set) var head: LogPosition = 0
    private(set) var threads: [MessageThread.ID: Thread] = [:]
    private var answered: [Request: (hash: Int64, position: LogPosition, number: EntryNumber)] = [:]

    /// What is expected of a request: its place, or why it is refused.
    enum Answer: Equatable {
        case place(LogPosition, EntryNumber, replayed: Bool)
        case refused(AppendRefusal)
    }

    mutating func send(_ message: NewMessage, by author: Int) -> Answer {
        answer(author, message.clientID, message.hash) { model in
            guard model.threads[message.thread]?.has(author) == true else { return .refused(.notFound) }
            return model.show(in: message.thread, by: author, isMessage: true)
        }
    }

    mutating func mark(_ receipts: [(thread: MessageThread.ID, user: Int, delivered: Int64, read: Int64)]) {
        var moved: Set<MessageThread.ID> = []
        for receipt in receipts {
            guard let thread = threads[receipt.thread], thread.has(receipt.user),
                let old = thread.places[receipt.user]
            else { continue }
            var place = old
            place.delivered = max(old.delivered, min(max(receipt.delivered, receipt.read), thread.last))
            place.read = max(old.read, min(receipt.read, thread.last))
            guard place != old else { continue }
            threads[receipt.thread]?.places[receipt.user] = place
            moved.insert(receipt.thread)
        }
        head += LogPosition(moved.count)
    }

    mutating func create(
        _ thread: MessageThread.ID, _ users: [Int], by author: Int, id: ClientID, hash: Int64
    ) -> Answer {
        answer(author, id, hash) { model in
            model.threads[thread] = Thread()
            let answer = model.show(in: thread, by: author, isMessage: false)
            for user in users { model.threads[thread]?.enter(user, at: 1, hasRead: user == author) }
            return answer
        }
    }

    mutating func add(
        _ users: [Int], to thread: MessageThread.ID, by author: Int, id: ClientID, hash: Int64
    ) -> Answer {
        if isUnknown(author, id), !users.isEmpty, let known = threads[thread], known.has(author),
            users.allSatisfy(known.has)
        {
            // Nothing is written, and nothing is kept under this id: the entry that let the last of them in answers.
            let number = users.compactMap { known.places[$0]?.joined }.max() ?? 0
            return .place(known.lines[Int(number) - 1].position, number, replayed: true)
        }
        return answer(author, id, hash) { model in
            guard let known = model.threads[thread], known.has(author) else { return .refused(.notFound) }
            let answer = model.show(in: thread, by: author, isMessage: false)
            for user in users where !known.has(user) {
                model.threads[thread]?.enter(user, at: known.last + 1, hasRead: false)
            }
            return answer
        }
    }

    mutating func leave(_ thread: MessageThread.ID, by author: Int, id: ClientID, hash: Int64) -> Answer {
        answer(author, id, hash) { model in
            guard model.threads[thread]?.has(author) == true else { return .refused(.notFound) }
            let answer = model.show(in: thread, by: author, isMessage: false)
            let last = model.threads[thread]?.last
            model.threads[thread]?.places[author]?.left = last
            return answer
        }
    }

    mutating func recall(
        _ number: EntryNumber, in thread: MessageThread.ID, by author: Int, id: ClientID, hash: Int64
    ) -> Answer {
        let index = Int(number) - 1
        if isUnknown(author, id), let known = threads[thread], known.has(author),
            known.lines.indices.contains(index), known.lines[index].author == author,
            let first = known.lines[index].recall
        {
            // Nothing is written, and nothing is kept under this id: the first recall answers.
            return .place(known.lines[Int(first) - 1].position, first, replayed: true)
        }
        return answer(author, id, hash) { model in
            guard let known = model.threads[thread], known.has(author), known.lines.indices.contains(index),
                known.lines[index].isMessage || known.lines[index].recall != nil
            else { return .refused(.notFound) }
            guard known.lines[index].author == author else { return .refused(.notYours) }
            model.threads[thread]?.lines[index].isMessage = false
            model.threads[thread]?.lines[index].recall = known.last + 1
            return model.show(in: thread, by: author, isMessage: false)
        }
    }

    private func isUnknown(_ author: Int, _ id: ClientID) -> Bool {
        answered[Request(author: author, id: id)] == nil
    }

    private mutating func answer(
        _ author: Int, _ id: ClientID, _ hash: Int64, _ work: (inout Self) -> Answer
    ) -> Answer {
        let request = Request(author: author, id: id)
        if let old = answered[request] {
            return old.hash == hash
                ? .place(old.position, old.number, replayed: true) : .refused(.keyReused)
        }
        let answer = work(&self)
        if case .place(let position, let number, _) = answer { answered[request] = (hash, position, number) }
        return answer
    }

    private mutating func show(in thread: MessageThread.ID, by author: Int, isMessage: Bool) -> Answer {
        head += 1
        let before = threads[thread]?.last ?? 0
        threads[thread]?.lines.append(Line(position: head, author: author, isMessage: isMessage))
        if threads[thread]?.places[author]?.read == before {
            threads[thread]?.places[author]?.read = before + 1
            threads[thread]?.places[author]?.delivered = before + 1
        }
        return .place(head, before + 1, replayed: false)
    }
}

extension LogModel.Thread {
    fileprivate mutating func enter(_ user: Int, at number: EntryNumber, hasRead: Bool) {
        let read = hasRead ? number : number - 1
        var place = LogModel.Place(joined: number, left: nil, delivered: read, read: read)
        if let old = places[user], let left = old.left {
            place.earlier = old.earlier + [old.joined...left]
            // What was not seen of an earlier stay stays unseen.
            if old.delivered < left { place.delivered = old.delivered }
            if old.read < left { place.read = old.read }
        }
        places[user] = place
    }
}
