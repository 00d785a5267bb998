import DequeModule
import Domain

/// The newest entries, kept in memory for sessions that resume.
extension CustomerFeed {
    func keep(_ entry: LogEntry) {
        if case .recalled(let number) = entry.content { forgetText(of: number, in: entry.thread) }
        tail.append(entry)
        tailSize += entry.textBytes
        while tail.count > Self.tailEntries || tailSize > Self.tailBytes, let oldest = tail.popFirst() {
            tailSize -= oldest.textBytes
        }
    }

    /// Who resumes after a recall must not get the text from memory that the database no longer has.
    private func forgetText(of number: EntryNumber, in thread: MessageThread.ID) {
        guard let index = tail.lastIndex(where: { $0.number == number && $0.thread == thread }) else {
            return
        }
        let old = tail[index]
        tailSize -= old.textBytes
        tail[index] = LogEntry(
            position: old.position, thread: old.thread, number: old.number, author: old.author,
            device: old.device, clientID: old.clientID, at: old.at, content: .recalledMessage)
        tailSize += tail[index].textBytes
    }

    /// Whether another entry was followed at this one's position.
    func contradicts(_ entry: LogEntry) -> Bool {
        guard let followed = recent(at: entry.position) else { return false }
        return followed.mark != entry.mark
    }

    /// The entry at a position, while it is kept.
    func recent(at wanted: LogPosition) -> LogEntry? {
        let index = tail.count - 1 - Int(position - wanted)
        guard tail.indices.contains(index), tail[index].position == wanted else { return nil }
        return tail[index]
    }
}
