package import Domain

extension LinkEntry {
    /// The link's form of a log entry.
    package init(_ entry: LogEntry) {
        let stored = StoredContent.encode(entry.content)
        self.init()
        position = entry.position
        thread = entry.thread.rawValue
        number = entry.number ?? 0
        kind = UInt32(clamping: stored.kind)
        author = entry.author?.rawValue ?? 0
        device = entry.device?.rawValue ?? 0
        if let clientID = entry.clientID {
            clientIDHigh = clientID.high
            clientIDLow = clientID.low
        }
        at = entry.at.microseconds
        priority = UInt32(clamping: stored.priority)
        body = stored.body
    }
}

extension LinkEntry {
    /// The same as that of the log entry it stands for, without looking at its content.
    var mark: EntryMark {
        EntryMark(
            position: position, thread: MessageThread.ID(rawValue: thread), number: number,
            author: User.ID(rawValue: author),
            clientID: ClientID(high: clientIDHigh, low: clientIDLow), at: Timestamp(microseconds: at))
    }
}

extension LogEntry {
    /// The log entry that the link's form stands for; a kind or body that this version cannot read is
    /// `.unknown`.
    package init(_ link: LinkEntry) {
        self.init(
            position: link.position,
            thread: MessageThread.ID(rawValue: link.thread),
            number: link.number == 0 ? nil : link.number,
            author: link.author == 0 ? nil : User.ID(rawValue: link.author),
            device: link.device == 0 ? nil : Device.ID(rawValue: link.device),
            clientID: ClientID(linkHigh: link.clientIDHigh, linkLow: link.clientIDLow),
            at: Timestamp(microseconds: link.at),
            content: StoredContent.decode(
                kind: Int(clamping: link.kind), priority: Int(clamping: link.priority), body: link.body)
        )
    }
}

extension Token128 {
    /// The token of two words of the link; nil when both are zero, which stands for none.
    package init?(linkHigh high: UInt64, linkLow low: UInt64) {
        guard high != 0 || low != 0 else { return nil }
        self.init(high: high, low: low)
    }
}

extension LinkSendMessage {
    package var clientID: ClientID {
        get { ClientID(high: clientIDHigh, low: clientIDLow) }
        set { (clientIDHigh, clientIDLow) = (newValue.high, newValue.low) }
    }
}

extension LinkCreateThread {
    package var clientID: ClientID {
        get { ClientID(high: clientIDHigh, low: clientIDLow) }
        set { (clientIDHigh, clientIDLow) = (newValue.high, newValue.low) }
    }
}

extension LinkAddParticipants {
    package var clientID: ClientID {
        get { ClientID(high: clientIDHigh, low: clientIDLow) }
        set { (clientIDHigh, clientIDLow) = (newValue.high, newValue.low) }
    }
}

extension LinkLeaveThread {
    package var clientID: ClientID {
        get { ClientID(high: clientIDHigh, low: clientIDLow) }
        set { (clientIDHigh, clientIDLow) = (newValue.high, newValue.low) }
    }
}

extension LinkRecallMessage {
    package var clientID: ClientID {
        get { ClientID(high: clientIDHigh, low: clientIDLow) }
        set { (clientIDHigh, clientIDLow) = (newValue.high, newValue.low) }
    }
}
