import Domain

/// What was sent, what everybody saw live, and what was found in the end: enough to say whether a promise
/// was broken.
///
/// A pure value, so that the checker itself can be checked with histories made up.
struct DeliveryHistory: Sendable {
    enum Outcome: Hashable, Sendable {
        case acknowledged(position: LogPosition, number: EntryNumber)
        /// Refused for good.
        case refused
        /// Nobody knows: it may be there once, or not at all.
        case unknown
    }

    /// A message that somebody sent, over all its repetitions.
    struct Send: Hashable, Sendable {
        var id: ClientID
        var author: String
        var thread: MessageThread.ID
        var invoked: ContinuousClock.Instant
        var answered: ContinuousClock.Instant
        var outcome: Outcome
    }

    /// One line of a thread as somebody got it.
    struct Line: Hashable, Sendable {
        var position: LogPosition
        var number: EntryNumber
        var id: ClientID?
        var isMessage: Bool
    }

    /// Everything that one person was sent of a thread while connected, in the order of arrival.
    struct Stream: Hashable, Sendable {
        var reader: String
        var thread: MessageThread.ID
        var lines: [Line]
        /// When each line came; empty where nobody noted it.
        var arrivals: [ContinuousClock.Instant] = []
    }

    /// A thread's whole history as one person read it from one server meanwhile.
    struct Read: Hashable, Sendable {
        var reader: String
        var source: String
        var thread: MessageThread.ID
        var invoked: ContinuousClock.Instant
        var answered: ContinuousClock.Instant
        var lines: [Line]
    }

    /// A thread's whole history as one person read it from one server in the end.
    struct View: Hashable, Sendable {
        var reader: String
        var source: String
        var thread: MessageThread.ID
        var lines: [Line]
    }

    /// The receipts of one person in a thread, as another one was told, in the order of arrival.
    struct MarkStream: Hashable, Sendable {
        var watcher: String
        var thread: MessageThread.ID
        var receipts: [Receipt]
    }

    /// A server was given the right to serve: a slot under a token, or its own name under a boot id.
    struct Grant: Hashable, Sendable {
        var server: String
        var slot: String
        /// Nil when the slot was given back.
        var token: String?
        /// The database's order, in which rights and what is accepted by them stand together.
        var order: Int64
    }

    /// A message was written by a server, by such a right.
    struct Acceptance: Hashable, Sendable {
        var server: String
        var slot: String
        var token: String
        var position: LogPosition
        var order: Int64
    }

    /// An e-mail as the mail server got it.
    struct Mail: Hashable, Sendable {
        var messageID: String
        var incident: String
        var recipient: String
        /// The server that opened the incident.
        var openedBy: String
    }

    var sends: [Send] = []
    var streams: [Stream] = []
    var views: [View] = []
    var marks: [MarkStream] = []
    var reads: [Read] = []
    var grants: [Grant] = []
    var acceptances: [Acceptance] = []
    /// How many servers may serve at a time; nil without a limit.
    var serverLimit: Int?
    var mails: [Mail] = []
}

/// A promise that was broken, and where.
enum BrokenPromise: Hashable, Sendable {
    /// An acknowledged message is missing.
    case lost(ClientID, at: String)
    /// A thread holds acknowledged messages, and nobody read it in the end: whether they are there is not known.
    case unread(MessageThread.ID)
    /// One message is there more than once.
    case doubled(ClientID, at: String)
    /// Something is there that nobody sent, or that was refused, or that only some saw.
    case phantom(ClientID?, at: String)
    /// Positions or numbers do not rise.
    case reordered(position: LogPosition, at: String)
    /// The numbers of a thread are not 1, 2, 3 ….
    case gap(before: EntryNumber, at: String)
    /// The place that was acknowledged is not where the message is.
    case misplaced(ClientID, at: String)
    /// Two people, or one person at two servers, do not read the same.
    case disagreement(String, String)
    /// A message that was sent after another's acknowledgement stands before it.
    case overtaken(ClientID)
    /// Delivered or read moved backward, or beyond the thread's end.
    case marksBackward(User.ID, at: String)
    /// A read shows less than somebody had been told, or had seen, before it began.
    case stale(upTo: EntryNumber, at: String)
    /// What a read showed is not what the thread's history holds in the end.
    case rewritten(EntryNumber, at: String)
    /// A server accepted a message when its right to serve had gone to another.
    case servedWithoutRight(server: String, position: LogPosition)
    /// More servers than are licensed had the right to serve at a time.
    case tooManyServers(Int, limit: Int)
    /// Somebody was told of one incident in more than one e-mail.
    case mailedTwice(incident: String, recipient: String)
    /// One incident was opened by more than one server.
    case openedTwice(incident: String)
}
