package import Domain

/// One message on its way into the log.
package struct NewMessage: Sendable {
    package let thread: MessageThread.ID
    package let author: User.ID
    package let device: Device.ID
    package let clientID: ClientID
    package let priority: Priority
    package let text: String
    /// Tells a repeat from a reuse of the client id: `BodyHash.of(…)`.
    package let hash: Int64

    package init(
        thread: MessageThread.ID, author: User.ID, device: Device.ID, clientID: ClientID, priority: Priority,
        text: String
    ) {
        self.thread = thread
        self.author = author
        self.device = device
        self.clientID = clientID
        self.priority = priority
        self.text = text
        hash = BodyHash.of(kind: StoredContent.Kind.message, thread: thread, priority: priority, body: text)
    }
}

/// How far one user has got in one thread, on its way into the log.
package struct NewReceipt: Sendable, Hashable {
    package let thread: MessageThread.ID
    package let user: User.ID
    package let delivered: EntryNumber
    package let read: EntryNumber

    package init(thread: MessageThread.ID, user: User.ID, delivered: EntryNumber, read: EntryNumber) {
        self.thread = thread
        self.user = user
        self.delivered = delivered
        self.read = read
    }
}

/// What one append takes: messages and receipts of one customer. Message ids within a batch are distinct.
package struct AppendBatch: Sendable {
    package var messages: [NewMessage]
    package var receipts: [NewReceipt]

    package init(messages: [NewMessage] = [], receipts: [NewReceipt] = []) {
        self.messages = messages
        self.receipts = receipts
    }
}

/// A place in the log that was promised.
package struct Acceptance: Sendable, Hashable {
    package let position: LogPosition
    package let number: EntryNumber
    package let at: Timestamp
    /// The request had been accepted before, under the same client id.
    package let replayed: Bool

    package init(position: LogPosition, number: EntryNumber, at: Timestamp, replayed: Bool) {
        self.position = position
        self.number = number
        self.at = at
        self.replayed = replayed
    }
}

/// Why one entry of a batch was refused; its neighbours are not affected.
package enum AppendRefusal: Int, Sendable, Hashable, Error {
    /// The client id belongs to another content.
    case keyReused = 2
    /// There is no such thread for this author: absent, another customer's, or the author is not in it.
    case notFound = 3
    case threadClosed = 4
    /// The batch holds the same client id twice: append it again in a later batch.
    case repeatedInBatch = 5
    /// Only the author may take a message back.
    case notYours = 6
    /// A user that is to take part does not exist at this customer.
    case noSuchUser = 7
}

package typealias AppendOutcome = Result<Acceptance, AppendRefusal>

/// What an append did: an outcome for each message, in order, and the receipt entries it wrote.
package struct AppendResult: Sendable {
    package let outcomes: [AppendOutcome]
    package let receiptEntries: [LogEntry]

    package init(outcomes: [AppendOutcome], receiptEntries: [LogEntry]) {
        self.outcomes = outcomes
        self.receiptEntries = receiptEntries
    }
}
