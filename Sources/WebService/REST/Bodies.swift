import Domain
import ServiceLink

// The JSON bodies of the REST interface (docs/client-protocol.md section 2): ids as strings, times in milliseconds.

// MARK: Requests

struct LogInBody: Decodable {
    struct DeviceBody: Decodable {
        let name: String?
        let id: String?
    }

    let login: String
    let password: Sealed<String>
    let customer: String?
    let device: DeviceBody?

    private enum CodingKeys: CodingKey { case login, password, customer, device }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        login = try fields.decode(String.self, forKey: .login)
        password = Sealed(try fields.decode(String.self, forKey: .password))
        customer = try fields.decodeIfPresent(String.self, forKey: .customer)
        device = try fields.decodeIfPresent(DeviceBody.self, forKey: .device)
    }
}

struct CreateThreadBody: Decodable {
    let clientId: String?
    let participants: [String]
    let subject: String?
}

struct SendMessageBody: Decodable {
    let clientId: String?
    let text: String
    let priority: String?
}

/// For requests that say nothing but who they are.
struct ClientIDBody: Decodable { let clientId: String? }

struct AddParticipantsBody: Decodable {
    let clientId: String?
    let users: [String]
}

struct ReceiptsBody: Decodable {
    let delivered: Int64?
    let read: Int64?
}

// MARK: Answers

struct UserBody: Encodable {
    let id: String
    let login: String
    let name: String

    init(_ user: LinkUser) { (id, login, name) = ("\(user.id)", user.login, user.name) }
}

struct NamedBody: Encodable {
    let id: String
    let name: String
}

struct LoggedInBody: Encodable {
    let token: String
    let session: String
    let user: UserBody
    let customer: NamedBody
    let device: NamedBody
    let expiresAt: Int64

    init(_ answer: LinkLoggedIn) {
        let me = MeBody(answer.identity)
        token = SessionToken(bytes: Array(answer.token)).text
        session = "\(answer.session)"
        (user, customer, device) = (me.user, me.customer, me.device)
        expiresAt = Timestamp(microseconds: answer.expiresAt).milliseconds
    }
}

struct MeBody: Encodable {
    let user: UserBody
    let customer: NamedBody
    let device: NamedBody

    init(_ identity: LinkIdentity) {
        user = UserBody(identity.user)
        customer = NamedBody(id: "\(identity.customer)", name: identity.customerName)
        device = NamedBody(id: "\(identity.device)", name: identity.deviceName)
    }
}

struct UsersBody: Encodable { let users: [UserBody] }

struct AcceptedBody: Encodable {
    let thread: ThreadHeadBody?
    let position: Int64
    let number: Int64
    let at: Int64
    let replayed: Bool

    init(_ accepted: LinkAccepted) {
        thread = accepted.hasThread ? ThreadHeadBody(accepted.thread) : nil
        (position, number, replayed) = (accepted.position, accepted.number, accepted.replayed)
        at = Timestamp(microseconds: accepted.at).milliseconds
    }
}

struct ThreadHeadBody: Encodable {
    let id: String
    let subject: String
    let state: String
    let lastNumber: Int64
    let lastPosition: Int64

    init(_ thread: LinkThread) {
        (id, subject, state) = ("\(thread.id)", thread.subject, thread.closed ? "closed" : "open")
        (lastNumber, lastPosition) = (thread.lastNumber, thread.lastPosition)
    }
}

/// A thread of the inbox, or with everything about its participants.
struct ThreadBody<ParticipantBody: Encodable>: Encodable {
    let id: String
    let subject: String
    let state: String
    let lastNumber: Int64
    let lastPosition: Int64
    /// By which the inbox is ordered: `lastPosition` moves with receipts too.
    let lastShownPosition: Int64
    let unread: Int64
    /// Absent while an ASM Service that does not count them answers, as in the middle of an upgrade.
    let urgentUnread: UInt32?
    let firstUnreadUrgent: Int64?
    let delivered: Int64
    let read: Int64
    let participants: [ParticipantBody]
    let participantCount: Int
    let last: EntryBody?

    init(_ thread: LinkThread, _ participant: (LinkParticipant) -> ParticipantBody) {
        let head = ThreadHeadBody(thread)
        (id, subject, state) = (head.id, head.subject, head.state)
        (lastNumber, lastPosition) = (head.lastNumber, head.lastPosition)
        lastShownPosition = thread.lastShownPosition > 0 ? thread.lastShownPosition : thread.last.position
        (unread, delivered, read) = (thread.unread, thread.delivered, thread.read)
        urgentUnread = thread.hasUrgentUnread ? thread.urgentUnread : nil
        firstUnreadUrgent = thread.firstUnreadUrgent > 0 ? thread.firstUnreadUrgent : nil
        participants = thread.participants.map(participant)
        participantCount = max(Int(clamping: thread.participantCount), thread.participants.count)
        last = thread.hasLast ? EntryBody(LogEntry(thread.last)) : nil
    }
}

struct ParticipantBody: Encodable {
    let id: String
    let login: String
    let name: String
    let joined: Int64
    let left: Int64?
    let stays: [StayBody]
    let delivered: Int64
    let read: Int64

    struct StayBody: Encodable {
        let joined: Int64
        let left: Int64?
    }

    init(_ participant: LinkParticipant) {
        let user = UserBody(participant.user)
        (id, login, name) = (user.id, user.login, user.name)
        joined = participant.joined
        left = participant.left == 0 ? nil : participant.left
        stays =
            participant.earlier.map { StayBody(joined: $0.joined, left: $0.left) }
            + [StayBody(joined: joined, left: left)]
        (delivered, read) = (participant.delivered, participant.read)
    }
}

struct InboxBody: Encodable {
    let cursor: String
    let threads: [ThreadBody<NamedBody>]
    let next: Int64?

    init(_ inbox: LinkInbox) {
        cursor = inbox.cursor.description
        threads = inbox.threads.map { thread in
            ThreadBody(thread) { NamedBody(id: "\($0.user.id)", name: $0.user.name) }
        }
        next = inbox.next == 0 ? nil : inbox.next
    }
}

struct ThreadDetailsBody: Encodable {
    let thread: ThreadBody<ParticipantBody>

    init(_ thread: LinkThread) { self.thread = ThreadBody(thread, ParticipantBody.init) }
}

struct HistoryBody: Encodable {
    let entries: [EntryBody]
    let more: Bool

    init(_ history: LinkHistory) {
        entries = history.entries.compactMap { EntryBody(LogEntry($0)) }
        more = history.more
    }
}

struct MessageDetailsBody: Encodable {
    struct ReceiptBody: Encodable {
        let user: String
        let name: String
        let delivered: Bool
        let deliveredAt: Int64?
        let read: Bool
        let readAt: Int64?
    }

    let entry: EntryBody?
    let receipts: [ReceiptBody]

    init(_ details: LinkMessageDetails) {
        func time(_ microseconds: Int64) -> Int64? {
            microseconds == 0 ? nil : Timestamp(microseconds: microseconds).milliseconds
        }
        entry = EntryBody(LogEntry(details.entry))
        receipts = details.receipts.map {
            ReceiptBody(
                user: "\($0.user.id)", name: $0.user.name,
                delivered: $0.delivered || $0.deliveredAt != 0, deliveredAt: time($0.deliveredAt),
                read: $0.read || $0.readAt != 0, readAt: time($0.readAt))
        }
    }
}
