import Domain
import Store

/// Who takes part in a thread and who wrote its newest entries; changed only by entries seen in order.
struct ThreadCache {
    /// How many of the newest authors are kept: receipts go live to them.
    static let authorsKept = 64

    private(set) var participants: [User.ID: Membership]
    /// Newest last.
    private var authors: [(number: EntryNumber, author: User.ID)] = []

    /// Somebody has come back since this was loaded: of their earlier stay not everything is known here, so that it is loaded
    /// again before the next entries are looked at.
    private(set) var isStale = false

    struct Membership {
        var joined: EntryNumber
        var left: EntryNumber?
        /// Those whose entries may still be delivered: what is in memory reaches back no further.
        var earlier: [EarlierStay] = []

        func sees(_ number: EntryNumber) -> Bool {
            if number >= joined { return number <= (left ?? .max) }
            return earlier.contains { $0.stay.joined <= number && number <= $0.stay.left }
        }

        /// Receipts have no number; they are for who is here, but for those of a time between two stays.
        func seesReceipts(at position: LogPosition) -> Bool {
            left == nil && !earlier.contains { $0.leftPosition < position && position < $0.nextPosition }
        }
    }

    init(
        _ participants: [Participant], earlier: [EarlierStay] = [],
        recentAuthors: [(number: EntryNumber, author: User.ID)]
    ) {
        self.participants = Dictionary(
            participants.map { ($0.user, Membership(joined: $0.joinedNumber, left: $0.leftNumber)) },
            uniquingKeysWith: { $1 })
        for stay in earlier { self.participants[stay.user]?.earlier.append(stay) }
        authors = recentAuthors.reversed()
    }

    /// Takes over what an entry changes. Doing so twice changes nothing more.
    mutating func apply(_ entry: LogEntry) {
        guard let number = entry.number else { return }
        if let author = entry.author, (authors.last?.number ?? 0) < number {
            authors.append((number, author))
            if authors.count > 2 * Self.authorsKept { authors.removeFirst(Self.authorsKept) }
        }
        switch entry.content {
        case .created(_, let users):
            for user in users { participants[user] = Membership(joined: number) }
        case .added(let users):
            for user in users where (participants[user]?.joined ?? 0) < number {
                enter(user, at: number, entry.position)
            }
        case .left(let user):
            if let joined = participants[user]?.joined, joined < number { participants[user]?.left = number }
        default: break
        }
    }

    private mutating func enter(_ user: User.ID, at number: EntryNumber, _ position: LogPosition) {
        var membership = Membership(joined: number)
        if let old = participants[user], let left = old.left {
            isStale = true
            // Where the stay ended in the log is not known here: until it is, no receipts from before it are shown.
            let stay = Stay(joined: old.joined, left: left)
            membership.earlier =
                old.earlier + [EarlierStay(user: user, stay: stay, leftPosition: 0, nextPosition: position)]
        }
        participants[user] = membership
    }

    /// Calls `body` with each user to whom the entry goes live.
    func forEachReader(of entry: LogEntry, _ body: (User.ID) -> Void) {
        if let number = entry.number {
            for (user, membership) in participants where membership.sees(number) { body(user) }
        } else if case .receipts(let receipts) = entry.content {
            for user in readers(of: receipts, at: entry.position) { body(user) }
        }
    }

    /// Receipts go to the authors of what they cover and to the reader's own other devices, not to everyone.
    private func readers(of receipts: [Receipt], at position: LogPosition) -> Set<User.ID> {
        var users = Set(receipts.map(\.user))
        let covered = receipts.map { max($0.delivered, $0.read) }.max() ?? 0
        for (number, author) in authors.suffix(Self.authorsKept) where number <= covered {
            users.insert(author)
        }
        return users.filter { participants[$0]?.seesReceipts(at: position) ?? true }
    }
}
