package import Domain
import SQLDatabase

/// Whether and when one participant got and read a message.
package struct MessageReceipt: Sendable {
    package let user: User
    package let isDelivered: Bool
    package let isRead: Bool
    /// Nil while it is not, and where the time is not to be found within what is searched.
    package let delivered: Timestamp?
    package let read: Timestamp?
}

extension Store {
    /// How many receipt entries after a message are searched for its times, and how many of the newest ones.
    package static let receiptsScanned = 10_000

    /// A message, and whether and when each who was there got and read it; nil when the user cannot see it.
    ///
    /// Whether is said by each participant's mark. When is said by the first receipt entry that goes so far: it is looked for
    /// from the message on, and where it does not come soon, among the newest ones.
    package func message(
        _ number: EntryNumber, in thread: MessageThread.ID, for user: User.ID, at customer: Customer.ID,
        scanning limit: Int = receiptsScanned
    ) async throws -> (entry: LogEntry, receipts: [MessageReceipt])? {
        guard number > 0, let view = try await self.thread(thread, for: user, at: customer) else {
            return nil
        }
        let page = try await history(
            of: thread, for: user, at: customer, page: .after(number - 1), limit: 1)
        guard let message = page?.entries.first, message.number == number else { return nil }
        let wereHere = try await visitors(of: thread, at: number)
        let readers = view.participants.filter { member in
            let (joined, left) = (member.place.joinedNumber, member.place.leftNumber ?? .max)
            guard member.user.id != message.author else { return false }
            return joined <= number && number <= left || wereHere.contains(member.user.id)
        }
        let times = try await times(of: message, number, for: readers.map(\.place), in: thread, limit)
        let receipts = readers.map { member in
            let (delivered, read) = (times.delivered[member.user.id], times.read[member.user.id])
            return MessageReceipt(
                user: member.user, isDelivered: member.place.delivered >= number || delivered != nil,
                isRead: member.place.read >= number || read != nil, delivered: delivered, read: read)
        }
        return (message, receipts)
    }

    /// Who was in the thread at a number in an earlier stay: one look-up for each who came back since.
    private func visitors(of thread: MessageThread.ID, at number: EntryNumber) async throws -> Set<User.ID> {
        let wasHere = StaySQL.holds("\(number)", thread: "p.thread_id", user: "p.user_id")
        let rows = try await database.query(
            """
            SELECT p.user_id FROM participant p
            WHERE p.thread_id = \(thread) AND p.joined_number > \(number) AND \(sql: wasHere)
            """, on: .reads)
        return Set(try rows.map { try $0.id(0) })
    }

    private func times(
        of message: LogEntry, _ number: EntryNumber, for places: [Participant], in thread: MessageThread.ID,
        _ limit: Int
    ) async throws -> ReceiptTimes {
        var times = ReceiptTimes(number: number, places: places)
        var from = message.position
        var left = limit
        while left > 0, !times.isComplete {
            let lines = try await receipts(in: thread, after: from, newestFirst: false, min(left, Self.slice))
            lines.forEach { times.take($0) }
            guard lines.count == min(left, Self.slice), let last = lines.last else { return times }
            from = last.position
            left -= lines.count
        }
        guard !times.isComplete else { return times }
        times.takeNewest(try await receipts(in: thread, after: from, newestFirst: true, limit))
        return times
    }

    /// Receipt entries that are read at a time.
    private static let slice = 1_000

    private func receipts(
        in thread: MessageThread.ID, after position: LogPosition, newestFirst: Bool, _ limit: Int
    ) async throws -> [LogEntry] {
        let order: SQL = newestFirst ? "DESC" : "ASC"
        return try await database.query(
            """
            SELECT \(raw: entryColumns) FROM entry e
            WHERE e.thread_id = \(thread) AND e.position > \(position)
                AND e.kind = \(StoredContent.Kind.receipts.rawValue)
            ORDER BY e.position \(sql: order) LIMIT \(limit)
            """, on: .reads
        ).map { try entry($0) }
    }
}

/// Finds when each participant's marks reached a number first.
private struct ReceiptTimes {
    let number: EntryNumber
    private(set) var delivered: [User.ID: Timestamp] = [:]
    private(set) var read: [User.ID: Timestamp] = [:]
    /// Who got it and read it, so that a time is to be found.
    private let got: Set<User.ID>
    private let saw: Set<User.ID>

    init(number: EntryNumber, places: [Participant]) {
        self.number = number
        got = Set(places.filter { $0.delivered >= number }.map(\.user))
        saw = Set(places.filter { $0.read >= number }.map(\.user))
    }

    var isComplete: Bool {
        got.allSatisfy { delivered[$0] != nil } && saw.allSatisfy { read[$0] != nil }
    }

    /// Takes an entry that follows those taken before without a gap.
    mutating func take(_ line: LogEntry) {
        guard case .receipts(let receipts) = line.content else { return }
        for receipt in receipts {
            if receipt.delivered >= number, delivered[receipt.user] == nil {
                delivered[receipt.user] = line.at
            }
            if receipt.read >= number, read[receipt.user] == nil { read[receipt.user] = line.at }
        }
    }

    /// Takes the newest entries, which need not follow those before: the first of them that goes so far proves a time only
    /// where one of the same person before it did not.
    mutating func takeNewest(_ lines: [LogEntry]) {
        var wasUndelivered: Set<User.ID> = []
        var wasUnread: Set<User.ID> = []
        for line in lines.reversed() {
            guard case .receipts(let receipts) = line.content else { continue }
            for receipt in receipts {
                let user = receipt.user
                if receipt.delivered < number {
                    wasUndelivered.insert(user)
                } else if wasUndelivered.contains(user), delivered[user] == nil {
                    delivered[user] = line.at
                }
                if receipt.read < number {
                    wasUnread.insert(user)
                } else if wasUnread.contains(user), read[user] == nil {
                    read[user] = line.at
                }
            }
        }
    }
}
