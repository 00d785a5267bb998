package import Domain

/// Checks one thread: every acknowledged message exactly once at every other member, in its sender's order.
///
/// Members are numbered from 0 and each sender's messages from 1. Pure: it is fed with what was seen and says
/// what is wrong.
package struct DeliveryCheck: Sendable {
    /// An acknowledged message that did not come live.
    package struct Missing: Hashable, Sendable {
        package let sender: Int
        package let recipient: Int
        package let sequence: Int
    }

    package struct Tally: Hashable, Sendable {
        package var acknowledged = 0
        package var delivered = 0
        package var doubled = 0
        package var outOfOrder = 0
        /// Numbers of the thread that a member saw neither in an entry nor in an acknowledgement of its own.
        package var holes = 0
    }

    /// What one recipient has of one sender.
    private struct Stream {
        var last = 0
        var skipped: Set<Int> = []
    }

    /// The thread's numbers that one member has seen.
    private struct Numbers {
        var first = EntryNumber.max
        var last: EntryNumber = 0
        var lastEntry: EntryNumber = 0
        var count = 0

        mutating func note(_ number: EntryNumber) {
            first = min(first, number)
            last = max(last, number)
            count += 1
        }
    }

    private let members: Int
    private var streams: [Stream]
    private var numbers: [Numbers]
    /// For each sender: which sequences were acknowledged, as all up to one and some above it.
    private var acknowledged: [(all: Int, above: Set<Int>)]
    /// Messages that the server asked to send again later: by sender.
    private var postponed: [Set<Int>]
    private var seen = Tally()

    package init(members: Int) {
        self.members = members
        streams = Array(repeating: Stream(), count: members * members)
        numbers = Array(repeating: Numbers(), count: members)
        postponed = Array(repeating: [], count: members)
        acknowledged = Array(repeating: (all: 0, above: []), count: members)
    }

    /// A sender was asked to send a message again later: it may come after younger ones.
    package mutating func postponed(_ sequence: Int, of sender: Int) { postponed[sender].insert(sequence) }

    /// A sender was promised that its message is stored.
    package mutating func acknowledged(_ sequence: Int, of sender: Int, number: EntryNumber) {
        seen.acknowledged += 1
        numbers[sender].note(number)
        if sequence == acknowledged[sender].all + 1, acknowledged[sender].above.isEmpty {
            acknowledged[sender].all = sequence
        } else {
            acknowledged[sender].above.insert(sequence)
            while acknowledged[sender].above.remove(acknowledged[sender].all + 1) != nil {
                acknowledged[sender].all += 1
            }
        }
    }

    /// A recipient got a message.
    package mutating func delivered(
        _ sequence: Int, from sender: Int, to recipient: Int, number: EntryNumber
    ) {
        let index = recipient * members + sender
        if sequence == streams[index].last + 1 {
            streams[index].last = sequence
        } else if sequence > streams[index].last {
            streams[index].skipped.formUnion((streams[index].last + 1)..<sequence)
            streams[index].last = sequence
        } else if streams[index].skipped.remove(sequence) != nil {
            if !postponed[sender].contains(sequence) { seen.outOfOrder += 1 }
        } else {
            seen.doubled += 1
            return
        }
        seen.delivered += 1
        if number < numbers[recipient].lastEntry, sequence == streams[index].last { seen.outOfOrder += 1 }
        numbers[recipient].lastEntry = max(numbers[recipient].lastEntry, number)
        numbers[recipient].note(number)
    }

    /// What was acknowledged and has not come.
    package var missing: [Missing] {
        var missing: [Missing] = []
        for recipient in 0..<members {
            for sender in 0..<members where sender != recipient {
                let stream = streams[recipient * members + sender]
                let (all, above) = acknowledged[sender]
                let late = all > stream.last ? Array((stream.last + 1)...all) : []
                let sequences = stream.skipped.filter { $0 <= all || above.contains($0) }
                for sequence in sequences.sorted() + late + above.filter({ $0 > stream.last }).sorted() {
                    missing.append(Missing(sender: sender, recipient: recipient, sequence: sequence))
                }
            }
        }
        return missing
    }

    /// Whether everything acknowledged so far has come everywhere.
    package var isComplete: Bool {
        for recipient in 0..<members {
            for sender in 0..<members where sender != recipient {
                let stream = streams[recipient * members + sender]
                if stream.last < acknowledged[sender].all || !stream.skipped.isEmpty { return false }
            }
        }
        return true
    }

    /// The counts so far.
    /// - Parameter unanswered: how many messages have no answer: each may have taken a number.
    package func tally(unanswered: Int) -> Tally {
        var tally = seen
        for numbers in numbers where numbers.count > 0 {
            let hole = Int(numbers.last - numbers.first) + 1 - numbers.count
            tally.holes += hole < 0 ? -hole : max(0, hole - unanswered)
        }
        return tally
    }
}
