/// Anything that happened in a thread, at its place in the customer's log.
package struct LogEntry: Sendable, Hashable {
    package let position: LogPosition
    package let thread: MessageThread.ID
    /// Nil for what people do not see as a line of the thread: receipts and control entries.
    package let number: EntryNumber?
    /// Who did it; nil for receipts, which speak of several people.
    package let author: User.ID?
    package let device: Device.ID?
    package let clientID: ClientID?
    package let at: Timestamp
    package let content: EntryContent

    package init(
        position: LogPosition, thread: MessageThread.ID, number: EntryNumber?, author: User.ID?,
        device: Device.ID?,
        clientID: ClientID?, at: Timestamp, content: EntryContent
    ) {
        self.position = position
        self.thread = thread
        self.number = number
        self.author = author
        self.device = device
        self.clientID = clientID
        self.at = at
        self.content = content
    }

    /// About what the entry takes in memory and on the link, in bytes: what limits of texts count.
    package var textBytes: Int {
        switch content {
        case .message(let text, _): 256 + text.open.utf8.count
        case .receipts(let receipts): 256 + 32 * receipts.count
        case .created(let subject, let users): 256 + subject.open.utf8.count + 8 * users.count
        case .added(let users): 256 + 8 * users.count
        default: 256
        }
    }
}

/// What an entry says.
package enum EntryContent: Sendable, Hashable {
    case message(text: Sealed<String>, priority: Priority)
    /// A message whose author took it back; the text is gone.
    case recalledMessage
    /// How far people have got: all receipts of the thread that one append merged.
    case receipts([Receipt])
    case created(subject: Sealed<String>, participants: [User.ID])
    case added([User.ID])
    case left(User.ID)
    /// The author of message `number` took it back.
    case recalled(number: EntryNumber)
    case subjectChanged(Sealed<String>)
    case closed
    /// Concerns a user or a session rather than a thread's readers; never shown to clients.
    case control(ControlEntry)
    /// An entry of a kind that this version does not know, kept so that positions stay dense.
    case unknown(kind: Int)
}

/// What every server must know at once about sessions and users.
package enum ControlEntry: Sendable, Hashable {
    case sessionRevoked(session: Int64)
    case userDisabled(User.ID)
}

/// How urgent a message is.
package enum Priority: Int, Sendable, Hashable, CaseIterable {
    case normal = 0
    case urgent = 1

    /// The word of the client protocol: `normal` or `urgent`.
    package var name: String { self == .urgent ? "urgent" : "normal" }

    package init?(name: some StringProtocol) {
        switch name {
        case "normal": self = .normal
        case "urgent": self = .urgent
        default: return nil
        }
    }
}

/// One user's progress in a thread: delivered and read up to these numbers; zero means none.
package struct Receipt: Sendable, Hashable {
    package let user: User.ID
    package let delivered: EntryNumber
    package let read: EntryNumber

    package init(user: User.ID, delivered: EntryNumber, read: EntryNumber) {
        self.user = user
        self.delivered = delivered
        self.read = read
    }
}
