/// What a client tells its app.
public enum ClientEvent: Hashable, Sendable {
    case connected(to: WebAddress)
    case disconnected(reason: String, retryIn: Duration)
    /// New lines of threads, each once, in the log's order.
    case entries([Entry])
    /// How far people have got in a thread with one's own messages.
    case marks(thread: ThreadID, marks: [ReadingMark], atMilliseconds: Int64)
    /// A message of one's own is stored for good.
    case stored(MessageID, in: ThreadID, StoredReceipt)
    /// A message of one's own was refused for good and left the outbox.
    case refused(MessageID, in: ThreadID, MessagingError)
    /// The server could not send everything that was missed. When `isComplete`, the client loaded it and its
    /// entries came before this event; otherwise load the inbox and open threads again.
    case resynced(isComplete: Bool)
    /// These numbers of a thread could not be had; nothing more is known about them.
    case missing(thread: ThreadID, numbers: ClosedRange<Int64>)
    /// The app took events too slowly and some were dropped: load the inbox and open threads again.
    case fellBehind
}
