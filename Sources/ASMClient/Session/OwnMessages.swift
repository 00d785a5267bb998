import Domain

/// The newest own messages by the numbers that they were acknowledged with.
///
/// No cursor covers an acknowledgement. When the log is put back to a backup, another entry gets the number, and this tells
/// that it is not the one that is known.
struct OwnMessages {
    private static let limit = 1_000

    private struct Place: Hashable {
        let thread: MessageThread.ID
        let number: EntryNumber
    }

    private var messages: [Place: ClientID] = [:]
    /// Oldest first.
    private var order: [Place] = []

    mutating func note(_ id: ClientID, in thread: MessageThread.ID, number: EntryNumber) {
        let place = Place(thread: thread, number: number)
        if messages.updateValue(id, forKey: place) == nil { order.append(place) }
        guard order.count >= 2 * Self.limit else { return }
        for old in order.prefix(Self.limit) { messages[old] = nil }
        order.removeFirst(Self.limit)
    }

    /// Whether the entry has the number of another message.
    func contradict(_ entry: LogEntry) -> Bool {
        guard let number = entry.number, let id = entry.clientID,
            let known = messages[Place(thread: entry.thread, number: number)]
        else { return false }
        return known != id
    }
}
