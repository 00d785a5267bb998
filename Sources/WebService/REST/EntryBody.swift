import Domain
import ServiceLink

/// An entry as in history and in `entries` frames.
struct EntryBody: Encodable {
    let position: Int64
    let thread: String
    let number: Int64
    let kind: String
    let author: String?
    let clientId: String?
    let at: Int64
    var text: String?
    var priority: String?
    var subject: String?
    var participants: [String]?
    var users: [String]?
    var user: String?
    var of: Int64?

    /// Nil for what clients are not shown as a line of the thread.
    init?(_ entry: LogEntry) {
        guard let number = entry.number, let kind = Self.kind(of: entry.content) else { return nil }
        position = entry.position
        thread = "\(entry.thread)"
        self.number = number
        self.kind = kind
        author = entry.author.map { "\($0)" }
        clientId = entry.clientID.map { "\($0)" }
        at = entry.at.milliseconds
        switch entry.content {
        case .message(let text, let priority): (self.text, self.priority) = (text.open, priority.name)
        case .created(let subject, let participants):
            (self.subject, self.participants) = (subject.open, participants.map { "\($0)" })
        case .added(let users): self.users = users.map { "\($0)" }
        case .left(let user): self.user = "\(user)"
        case .recalled(let number): of = number
        case .subjectChanged(let subject): self.subject = subject.open
        case .recalledMessage, .closed, .unknown, .receipts, .control: break
        }
    }

    private static func kind(of content: EntryContent) -> String? {
        switch content {
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
}

/// What a client's threads gained after a cursor.
struct LogPageBody: Encodable {
    struct Receipts: Encodable {
        struct One: Encodable {
            let user: String
            let delivered: Int64
            let read: Int64
        }

        let thread: String
        let at: Int64
        let receipts: [One]
    }

    let cursor: String
    let entries: [EntryBody]
    let receipts: [Receipts]
    let resync: Bool
    /// Said only where it is so.
    let otherLog: Bool?

    init(_ page: LinkLogPage) {
        let gained = page.entries.map { LogEntry($0) }
        cursor = page.cursor.description
        resync = page.resync
        otherLog = page.otherLog ? true : nil
        entries = gained.compactMap { EntryBody($0) }
        receipts = gained.compactMap { entry in
            guard case .receipts(let receipts) = entry.content else { return nil }
            return Receipts(
                thread: "\(entry.thread)", at: entry.at.milliseconds,
                receipts: receipts.map { .init(user: "\($0.user)", delivered: $0.delivered, read: $0.read) })
        }
    }
}
