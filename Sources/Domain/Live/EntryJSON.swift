extension LogEntry {
    /// Appends the entry as the JSON object of the client protocol.
    ///
    /// Returns false, having appended nothing, for what clients never see as a line of a thread: receipts,
    /// control entries and anything without a number.
    @discardableResult
    package func encodeJSON(into bytes: inout [UInt8]) -> Bool {
        guard let number, let kind = content.wireKind else { return false }
        JSONWriter.raw(#"{"position":"#, into: &bytes)
        JSONWriter.integer(position, into: &bytes)
        JSONWriter.raw(#","thread":"#, into: &bytes)
        JSONWriter.identifier(thread, into: &bytes)
        JSONWriter.raw(#","number":"#, into: &bytes)
        JSONWriter.integer(number, into: &bytes)
        JSONWriter.raw(#","kind":""#, into: &bytes)
        JSONWriter.raw(kind, into: &bytes)
        JSONWriter.raw("\"", into: &bytes)
        if let author {
            JSONWriter.raw(#","author":"#, into: &bytes)
            JSONWriter.identifier(author, into: &bytes)
        }
        if let clientID {
            JSONWriter.raw(#","clientId":"#, into: &bytes)
            JSONWriter.token(clientID, into: &bytes)
        }
        JSONWriter.raw(#","at":"#, into: &bytes)
        JSONWriter.integer(at.milliseconds, into: &bytes)
        content.encodeFields(into: &bytes)
        JSONWriter.raw("}", into: &bytes)
        return true
    }

    /// Reads the object that `encodeJSON` writes. An unknown kind becomes `.unknown`; the device is not on
    /// the wire.
    package static func read(from scanner: inout JSONScanner) throws(JSONFault) -> LogEntry {
        var fields = EntryFields()
        try scanner.object { (key, scanner) throws(JSONFault) in try fields.take(key, from: &scanner) }
        guard let entry = fields.entry() else {
            throw scanner.fault("an entry lacks its position, thread, number or another field of its kind")
        }
        return entry
    }
}

extension EntryContent {
    /// The word for the kind on the wire; nil for what clients are not shown.
    fileprivate var wireKind: StaticString? {
        switch self {
        case .message: "message"
        case .recalledMessage: "recalled-message"
        case .created: "created"
        case .added: "added"
        case .left: "left"
        case .recalled: "recalled"
        case .subjectChanged: "subject"
        case .closed: "closed"
        case .unknown: "unknown"
        case .receipts, .control: nil
        }
    }

    /// Appends the fields of the kind, each with a comma before it.
    fileprivate func encodeFields(into bytes: inout [UInt8]) {
        switch self {
        case .message(let text, let priority):
            JSONWriter.raw(#","text":"#, into: &bytes)
            JSONWriter.string(text.open, into: &bytes)
            JSONWriter.raw(
                priority == .urgent ? #","priority":"urgent""# : #","priority":"normal""#, into: &bytes)
        case .created(let subject, let participants):
            JSONWriter.raw(#","subject":"#, into: &bytes)
            JSONWriter.string(subject.open, into: &bytes)
            JSONWriter.raw(#","participants":"#, into: &bytes)
            JSONWriter.identifiers(participants, into: &bytes)
        case .added(let users):
            JSONWriter.raw(#","users":"#, into: &bytes)
            JSONWriter.identifiers(users, into: &bytes)
        case .left(let user):
            JSONWriter.raw(#","user":"#, into: &bytes)
            JSONWriter.identifier(user, into: &bytes)
        case .recalled(let number):
            JSONWriter.raw(#","of":"#, into: &bytes)
            JSONWriter.integer(number, into: &bytes)
        case .subjectChanged(let subject):
            JSONWriter.raw(#","subject":"#, into: &bytes)
            JSONWriter.string(subject.open, into: &bytes)
        case .recalledMessage, .closed, .unknown, .receipts, .control: break
        }
    }
}

/// The fields of an entry as they come.
private struct EntryFields {
    var position: Int64?
    var thread: MessageThread.ID?
    var number: Int64?
    var kind = ""
    var author: User.ID?
    var clientID: ClientID?
    var at: Int64?
    var text: String?
    var isUrgent = false
    var subject: String?
    var users: [User.ID]?
    var user: User.ID?
    var of: Int64?

    mutating func take(_ key: String, from scanner: inout JSONScanner) throws(JSONFault) {
        switch key {
        case "position": position = try scanner.integer()
        case "thread": thread = MessageThread.ID(try scanner.string())
        case "number": number = try scanner.integer()
        case "kind": kind = try scanner.string()
        case "author": author = try userID(&scanner)
        case "clientId":
            if case .string(let text) = try scanner.scalar() { clientID = ClientID(text) }
        case "at": at = try scanner.integer()
        case "text":
            if case .string(let value) = try scanner.scalar() { text = value }
        case "priority": isUrgent = try scanner.scalar() == .string("urgent")
        case "subject":
            if case .string(let value) = try scanner.scalar() { subject = value }
        case "participants", "users": users = try userIDs(&scanner)
        case "user": user = try userID(&scanner)
        case "of":
            if case .integer(let value) = try scanner.scalar() { of = value }
        default: try scanner.skip()
        }
    }

    func entry() -> LogEntry? {
        guard let position, let thread, let number, let at, let content = content(),
            let at = Timestamp(wireMilliseconds: at)
        else { return nil }
        return LogEntry(
            position: position, thread: thread, number: number, author: author, device: nil,
            clientID: clientID,
            at: at, content: content)
    }

    private func content() -> EntryContent? {
        switch kind {
        case "message": text.map { .message(text: Sealed($0), priority: isUrgent ? .urgent : .normal) }
        case "recalled-message": .recalledMessage
        case "created": .created(subject: Sealed(subject ?? ""), participants: users ?? [])
        case "added": .added(users ?? [])
        case "left": user.map { .left($0) }
        case "recalled": of.map { .recalled(number: $0) }
        case "subject": subject.map { .subjectChanged(Sealed($0)) }
        case "closed": .closed
        default: .unknown(kind: 0)
        }
    }

    private func userID(_ scanner: inout JSONScanner) throws(JSONFault) -> User.ID? {
        guard case .string(let text) = try scanner.scalar() else { return nil }
        return User.ID(text)
    }

    private func userIDs(_ scanner: inout JSONScanner) throws(JSONFault) -> [User.ID]? {
        guard scanner.peek() == UInt8(ascii: "[") else {
            try scanner.skip()
            return nil
        }
        var users: [User.ID] = []
        try scanner.array { (scanner) throws(JSONFault) in
            if let user = try userID(&scanner) { users.append(user) }
        }
        return users
    }
}

extension Timestamp {
    /// A time of the wire, in Unix milliseconds; nil when it is beyond what a timestamp holds.
    package init?(wireMilliseconds: Int64) {
        let (microseconds, overflowed) = wireMilliseconds.multipliedReportingOverflow(by: 1_000)
        guard !overflowed else { return nil }
        self.init(microseconds: microseconds)
    }
}
