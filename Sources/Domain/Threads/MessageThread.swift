/// A conversation with a subject and participants.
package struct MessageThread: Sendable, Hashable {
    package typealias ID = Identifier<MessageThread>

    package let id: ID
    package let subject: Sealed<String>
    package let isClosed: Bool
    package let lastNumber: EntryNumber
    package let lastPosition: LogPosition
    /// Of the last entry that people see: `lastPosition` moves with receipts too.
    package let lastShownPosition: LogPosition

    package init(
        id: ID, subject: Sealed<String>, isClosed: Bool, lastNumber: EntryNumber, lastPosition: LogPosition,
        lastShownPosition: LogPosition
    ) {
        self.id = id
        self.subject = subject
        self.isClosed = isClosed
        self.lastNumber = lastNumber
        self.lastPosition = lastPosition
        self.lastShownPosition = lastShownPosition
    }
}

/// A user's place in a thread.
package struct Participant: Sendable, Hashable {
    package let user: User.ID
    package let joinedNumber: EntryNumber
    /// Set when the user has left or was removed: they see nothing after it.
    package let leftNumber: EntryNumber?
    package let delivered: EntryNumber
    package let read: EntryNumber

    package init(
        user: User.ID, joinedNumber: EntryNumber, leftNumber: EntryNumber?, delivered: EntryNumber,
        read: EntryNumber
    ) {
        self.user = user
        self.joinedNumber = joinedNumber
        self.leftNumber = leftNumber
        self.delivered = delivered
        self.read = read
    }
}
