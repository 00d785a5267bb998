package import Domain

/// The id of a user.
public struct UserID: Hashable, Sendable, CustomStringConvertible {
    package let id: User.ID
    package init(_ id: User.ID) { self.id = id }

    /// Reads the decimal form that `description` gives.
    public init?(_ text: String) {
        guard let id = User.ID(text) else { return nil }
        self.id = id
    }

    public var description: String { id.description }
}

/// The id of a thread.
public struct ThreadID: Hashable, Sendable, CustomStringConvertible {
    package let id: MessageThread.ID
    package init(_ id: MessageThread.ID) { self.id = id }

    /// Reads the decimal form that `description` gives.
    public init?(_ text: String) {
        guard let id = MessageThread.ID(text) else { return nil }
        self.id = id
    }

    public var description: String { id.description }
}

/// The id that this client gave to a message before it was sent; it stays the same over all repetitions.
public struct MessageID: Hashable, Sendable, CustomStringConvertible {
    package let id: ClientID
    package init(_ id: ClientID) { self.id = id }

    /// Reads the UUID form that `description` gives.
    public init?(_ text: String) {
        guard let id = ClientID(text) else { return nil }
        self.id = id
    }

    public var description: String { id.description }
}

/// How urgent a message is.
public enum MessagePriority: Hashable, Sendable {
    case normal, urgent

    package var domain: Priority { self == .urgent ? .urgent : .normal }
}

/// A user as others see them.
public struct Person: Hashable, Sendable {
    public let id: UserID
    /// Empty where the server does not say it.
    public let login: String
    public let name: String
}

/// One line of a thread.
public struct Entry: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        case message(text: String, priority: MessagePriority)
        /// A message whose author took it back.
        case recalledMessage
        case created(subject: String, participants: [UserID])
        case added([UserID])
        case left(UserID)
        /// The author of this message took it back.
        case recalled(number: Int64)
        case subject(String)
        case closed
        /// Something that only a newer version knows; show an empty line.
        case unknown
    }

    package let entry: LogEntry
    /// The place in the thread, dense from 1.
    public let number: Int64
    public let content: Content

    /// Nil for what is no line of a thread.
    package init?(_ entry: LogEntry) {
        guard let number = entry.number, let content = Content(entry.content) else { return nil }
        self.entry = entry
        self.number = number
        self.content = content
    }

    public var thread: ThreadID { ThreadID(entry.thread) }
    /// The place in the customer's log.
    public var position: Int64 { entry.position }
    public var author: UserID? { entry.author.map(UserID.init) }
    public var messageID: MessageID? { entry.clientID.map(MessageID.init) }
    /// Unix milliseconds by the server's clock.
    public var atMilliseconds: Int64 { entry.at.milliseconds }

    /// The entry as the JSON object of the client protocol, in one line.
    public var json: String {
        var bytes: [UInt8] = []
        entry.encodeJSON(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Entry.Content {
    fileprivate init?(_ content: EntryContent) {
        switch content {
        case .message(let text, let priority):
            self = .message(text: text.open, priority: priority == .urgent ? .urgent : .normal)
        case .recalledMessage: self = .recalledMessage
        case .created(let subject, let participants):
            self = .created(subject: subject.open, participants: participants.map(UserID.init))
        case .added(let users): self = .added(users.map(UserID.init))
        case .left(let user): self = .left(UserID(user))
        case .recalled(let number): self = .recalled(number: number)
        case .subjectChanged(let subject): self = .subject(subject.open)
        case .closed: self = .closed
        case .unknown: self = .unknown
        case .receipts, .control: return nil
        }
    }
}

/// The server's promise that something is stored for good, and where.
public struct StoredReceipt: Hashable, Sendable {
    public let position: Int64
    public let number: Int64
    /// Unix milliseconds by the server's clock.
    public let atMilliseconds: Int64

    package init(position: Int64, number: Int64, atMilliseconds: Int64) {
        self.position = position
        self.number = number
        self.atMilliseconds = atMilliseconds
    }
}

/// How far one user has got in a thread: delivered and read up to these numbers.
public struct ReadingMark: Hashable, Sendable {
    public let user: UserID
    public let delivered: Int64
    public let read: Int64
}

/// What a log-in gives: keep the token where secrets are kept.
public struct LogIn: Hashable, Sendable {
    public let token: String
    public let user: Person
    public let customerName: String
    public let deviceID: String
}

/// A thread as the inbox shows it.
public struct ThreadSummary: Hashable, Sendable {
    public let id: ThreadID
    public let subject: String
    public let isClosed: Bool
    public let lastNumber: Int64
    public let lastPosition: Int64
    /// Of the last entry that people see, by which the inbox is ordered: `lastPosition` moves with receipts too.
    public let lastShownPosition: Int64
    public let unread: Int64
    /// Urgent messages of others among the unread, at most 100; nil where the server does not say.
    public let urgentUnread: Int64?
    /// The number of the oldest unread urgent one.
    public let firstUnreadUrgent: Int64?
    public let delivered: Int64
    public let read: Int64
    /// At most the first ten of `participantCount`.
    public let participants: [Person]
    public let participantCount: Int
    public let last: Entry?
}

/// A page of the inbox, newest thread first.
public struct InboxPage: Hashable, Sendable {
    public let threads: [ThreadSummary]
    /// What to ask for the following page; nil on the last one.
    public let next: Int64?
}
