import Domain

/// Who takes part in a thread and who wrote its newest entries; changed only by entries seen in order.
struct ThreadCache {
    /// How many of the newest authors are kept: receipts go live to them.
    static let authorsKept = 64

    private(set) var participants: [User.ID: Membership]
    /// Newest last.
    private var authors: [(number: EntryNumber, author: User.ID)] = []

    struct Membership {
        var joined: EntryNumber
        var left: EntryNumber?

        func sees(_ number: EntryNumber) -> Bool {
            number >= joined && number <= (left ?? .max)
        }
    }

    init(_ participants: [Participant], recentAuthors: [(number: EntryNumber, author: User.ID)]) {
        self.participants = Dictionary(
            participants.map { ($0.user, Membership(joined: $0.joinedNumber, left: $0.leftNumber)) },
            uniquingKeysWith: { $1 })
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
                participants[user] = Membership(joined: number)
            }
        case .left(let user):
            if let joined = participants[user]?.joined, joined < number { participants[user]?.left = number }
        default: break
        }
    }

    /// Calls `body` with each user to whom the entry goes live.
    func forEachReader(of entry: LogEntry, _ body: (User.ID) -> Void) {
        if let number = entry.number {
            for (user, membership) in participants where membership.sees(number) { body(user) }
        } else if case .receipts(let receipts) = entry.content {
            for user in readers(of: receipts) { body(user) }
        }
    }

    /// Receipts go to the authors of what they cover and to the reader's own other devices, not to everyone.
    private func readers(of receipts: [Receipt]) -> Set<User.ID> {
        var users = Set(receipts.map(\.user))
        let covered = receipts.map { max($0.delivered, $0.read) }.max() ?? 0
        for (number, author) in authors.suffix(Self.authorsKept) where number <= covered {
            users.insert(author)
        }
        return users.filter { participants[$0]?.left == nil }
    }
}
