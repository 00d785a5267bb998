/// The stored form of an entry's content: a kind number and a body of bytes.
///
/// Messages store their text as it is; the rest stores decimal numbers separated by spaces, one record a line, so that
/// a body can be written by SQL and read by a person.
package enum StoredContent {
    package enum Kind: Int, Sendable {
        case message = 1
        case receipts = 2
        case created = 3
        case added = 4
        case left = 5
        case recalled = 6
        case subjectChanged = 7
        case closed = 8
        case recalledMessage = 9
        case sessionRevoked = 64
        case userDisabled = 65
    }

    /// The kind and body to store. `priority` is kept beside them, in a column of its own.
    package static func encode(_ content: EntryContent) -> (kind: Int, priority: Int, body: String) {
        switch content {
        case .message(let text, let priority): (Kind.message.rawValue, priority.rawValue, text.open)
        case .recalledMessage: (Kind.recalledMessage.rawValue, 0, "")
        case .receipts(let receipts):
            (
                Kind.receipts.rawValue, 0,
                receipts.map { "\($0.user) \($0.delivered) \($0.read)" }.joined(separator: "\n")
            )
        case .created(let subject, let participants):
            (Kind.created.rawValue, 0, numbers(participants.map(\.rawValue)) + "\n" + subject.open)
        case .added(let users): (Kind.added.rawValue, 0, numbers(users.map(\.rawValue)))
        case .left(let user): (Kind.left.rawValue, 0, "\(user)")
        case .recalled(let number): (Kind.recalled.rawValue, 0, "\(number)")
        case .subjectChanged(let subject): (Kind.subjectChanged.rawValue, 0, subject.open)
        case .closed: (Kind.closed.rawValue, 0, "")
        case .control(.sessionRevoked(let session)): (Kind.sessionRevoked.rawValue, 0, "\(session)")
        case .control(.userDisabled(let user)): (Kind.userDisabled.rawValue, 0, "\(user)")
        case .unknown(let kind): (kind, 0, "")
        }
    }

    /// The content of a stored row; `.unknown` for a kind or body that this version cannot read.
    package static func decode(kind: Int, priority: Int, body: String) -> EntryContent {
        switch Kind(rawValue: kind) {
        case .message: return .message(text: Sealed(body), priority: Priority(rawValue: priority) ?? .normal)
        case .recalledMessage: return .recalledMessage
        case .receipts: return .receipts(body.split(separator: "\n").compactMap(receipt))
        case .created:
            let parts = body.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            let participants = parts.first.map(identifiers) ?? []
            return .created(
                subject: Sealed(parts.count > 1 ? String(parts[1]) : ""), participants: participants)
        case .added: return .added(identifiers(body[...]))
        case .left: return User.ID(body).map(EntryContent.left) ?? .unknown(kind: kind)
        case .recalled: return Int64(body).map { .recalled(number: $0) } ?? .unknown(kind: kind)
        case .subjectChanged: return .subjectChanged(Sealed(body))
        case .closed: return .closed
        case .sessionRevoked:
            return Int64(body).map { .control(.sessionRevoked(session: $0)) } ?? .unknown(kind: kind)
        case .userDisabled:
            return User.ID(body).map { .control(.userDisabled($0)) } ?? .unknown(kind: kind)
        case nil: return .unknown(kind: kind)
        }
    }

    private static func numbers(_ values: [Int64]) -> String {
        values.map { String($0) }.joined(separator: " ")
    }

    private static func identifiers(_ line: Substring) -> [User.ID] {
        line.split(separator: " ").compactMap { User.ID($0) }
    }

    private static func receipt(_ line: Substring) -> Receipt? {
        let fields = line.split(separator: " ").compactMap { Int64($0) }
        guard fields.count == 3 else { return nil }
        return Receipt(user: User.ID(rawValue: fields[0]), delivered: fields[1], read: fields[2])
    }
}
