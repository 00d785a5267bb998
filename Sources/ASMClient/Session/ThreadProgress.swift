import Domain

/// Which numbers of a thread this client has: all up to `contiguous`, and some above it.
///
/// Numbers are dense and entries come in order, so a number missing below an entry is either an unanswered
/// message of one's own or a loss (rules 2 and 3 of docs/client-protocol.md). An `ack` proves nothing about
/// what is below it: entries that were stored before may still be on their way.
struct ThreadProgress: Hashable, Sendable {
    private(set) var contiguous: EntryNumber
    /// In ascending order, none of them `contiguous + 1`.
    private(set) var above: [EntryNumber] = []
    /// The highest number that came as an entry.
    private(set) var lastEntry: EntryNumber
    /// Set as long as only own acknowledgements are known: nothing is said about this number and those below
    /// it.
    private(set) var unknownUpTo: EntryNumber?

    /// A thread whose first entry here is `number`.
    init(firstEntry number: EntryNumber) {
        contiguous = number
        lastEntry = number
    }

    /// A thread of which only the own message `number` is known.
    init(ownMessage number: EntryNumber) {
        contiguous = number
        lastEntry = 0
        unknownUpTo = number - 1
    }

    init(
        contiguous: EntryNumber, above: [EntryNumber], lastEntry: EntryNumber, unknownUpTo: EntryNumber? = nil
    ) {
        self.contiguous = contiguous
        self.lastEntry = lastEntry
        self.unknownUpTo = unknownUpTo
        for number in above { insert(number) }
    }

    /// Notes an entry; false when its number was there before.
    mutating func take(entry number: EntryNumber) -> Bool {
        if let unknown = unknownUpTo {
            unknownUpTo = nil
            if number <= unknown {
                let known = Array((unknown + 1)...contiguous) + above
                self = ThreadProgress(contiguous: number, above: known, lastEntry: number)
                return true
            }
        }
        lastEntry = max(lastEntry, number)
        return insert(number)
    }

    /// Notes the number that an own message was given.
    mutating func take(ownMessage number: EntryNumber) { insert(number) }

    /// The numbers missing below the last entry, from the first to the last; nil when none is.
    var hole: ClosedRange<EntryNumber>? {
        guard lastEntry > contiguous + 1 else { return nil }
        return (contiguous + 1)...(lastEntry - 1)
    }

    /// Takes it that what is missing will never come, or was never meant for this client.
    mutating func giveUpHole() {
        guard let hole else { return }
        for number in hole { insert(number) }
    }

    /// How many numbers between two stays are kept one by one where something of the first is missing.
    private static let awayKept: EntryNumber = 10_000

    /// Goes on at an entry, where numbers between it and the last one before are not meant for this client. What is missing
    /// of the time before stays missing.
    mutating func restart(at number: EntryNumber) {
        guard number > contiguous else { return }
        if hole != nil, number > lastEntry, number - lastEntry <= Self.awayKept {
            for away in lastEntry + 1..<number { insert(away) }
            return
        }
        self = ThreadProgress(
            contiguous: number - 1, above: above.filter { $0 >= number }, lastEntry: lastEntry)
    }

    @discardableResult
    private mutating func insert(_ number: EntryNumber) -> Bool {
        guard number > contiguous else { return false }
        if number > contiguous + 1 {
            let index = above.lastIndex { $0 < number }.map { $0 + 1 } ?? 0
            guard index == above.count || above[index] != number else { return false }
            above.insert(number, at: index)
            return true
        }
        contiguous = number
        var joined = 0
        while joined < above.count, above[joined] == contiguous + 1 {
            contiguous += 1
            joined += 1
        }
        above.removeFirst(joined)
        return true
    }
}
