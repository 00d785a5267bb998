import Domain
import ServiceLink
import Synchronization

/// An ASM Service in memory, for what the Web Service does with its answers: two users and one thread.
final class MemoryService: LinkService {
    static let thread: Int64 = 77
    static let alice = SessionSecret(user: 31, token: Array(repeating: 1, count: 32))
    static let bob = SessionSecret(user: 32, token: Array(repeating: 2, count: 32))
    static let epoch = LogEpoch(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0001)
    /// Of the log that follows when `beginAnew` was called.
    static let nextEpoch = LogEpoch(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0002)
    /// Entries that a session missed come in frames of so many.
    private static let missedInFrame = 4

    struct SessionSecret: Sendable {
        let user: Int64
        let token: [UInt8]
    }

    private struct Attached {
        let session: UInt64
        let user: Int64
        let connection: LinkConnection
    }

    private struct State {
        var entries: [LinkEntry] = []
        var epoch = MemoryService.epoch
        var attached: [Attached] = []
        /// Answered, but not in the feed yet.
        var attaching: [UInt64: Attached] = [:]
        var held: [(LinkRequest, LinkConnection)] = []
        var holdsLogIns = false
        var addresses: [String] = []
        var marks: [LinkMarkReceipt] = []
        var logReads = 0
        /// How far the log is with what concerns nobody here.
        var followed: Int64 = 0
    }

    private let state = Mutex(State())

    /// From now on log-ins are not answered until `release`.
    func holdLogIns() { state.withLock { $0.holdsLogIns = true } }
    var heldLogIns: Int { state.withLock { $0.held.count } }
    /// The client addresses that log-ins came with.
    var logInAddresses: [String] { state.withLock { $0.addresses } }

    func release() {
        let held = state.withLock { state in
            state.holdsLogIns = false
            defer { state.held = [] }
            return state.held
        }
        for (request, connection) in held { connection.send(answer(request, connection)) }
    }

    func received(_ requests: [LinkRequest], from connection: LinkConnection) {
        for request in requests {
            if case .logIn(let logIn) = request.body {
                let isHeld = state.withLock { state in
                    state.addresses.append(logIn.address)
                    if state.holdsLogIns { state.held.append((request, connection)) }
                    return state.holdsLogIns
                }
                if isHeld { continue }
            }
            let response = answer(request, connection)
            if case .attach(let attach) = request.body {
                begin(request.session, response, after: attach.cursor, on: connection)
            } else if request.id != 0 {
                connection.send(response)
            }
        }
    }

    func closed(_ connection: LinkConnection) {
        state.withLock { $0.attached.removeAll { $0.connection === connection } }
    }

    /// Appends entries and delivers them in one frame to every session attached.
    func publish(_ contents: [EntryContent]) {
        state.withLock { state in
            var delivery = LinkDelivery()
            for content in contents {
                let entry = append(content, author: Self.alice.user, clientID: .random(), to: &state)
                var item = LinkDelivery.Item()
                item.entry = entry
                item.sessions = state.attached.map(\.session)
                delivery.items.append(item)
            }
            for connection in Dictionary(grouping: state.attached, by: \.connection.id).values.compactMap(
                \.first)
            {
                connection.connection.send(delivery)
            }
        }
    }

    /// The cursor of who has got this entry.
    func cursor(at position: Int) -> String {
        let entry = state.withLock { $0.entries.first { $0.position == position } }
        return "\(Self.epoch).\(position)."
            + (entry.map { "\(CursorFingerprint(LogEntry($0).mark))" } ?? "none")
    }

    /// How often the log was read.
    var logReads: Int { state.withLock { $0.logReads } }

    /// Says that the log has grown so far by entries that concern nobody here.
    func say(followed position: Int64) {
        let connections = state.withLock { state in
            state.followed = position
            return state.attached.map(\.connection)
        }
        var frame = LinkFrame()
        frame.followed.customer = 5
        frame.followed.cursor = LogCursor(epoch: Self.epoch, position: position)
        for connection in connections { connection.send(frame: frame) }
    }

    /// Tells everybody that the log is another one from here on.
    func beginAnew() {
        state.withLock { state in
            state.epoch = Self.nextEpoch
            for target in state.attached {
                var notice = LinkSessionEnded()
                notice.sessions = [target.session]
                notice.code = "resync"
                notice.cursor = LogCursor(epoch: state.epoch, position: Int64(state.entries.count))
                var frame = LinkFrame()
                frame.sessionEnded = notice
                target.connection.send(frame: frame)
            }
        }
    }

    /// Answers an attach and sends what was missed; from then on the session gets what is published.
    private func begin(
        _ session: UInt64, _ response: LinkResponse, after cursor: LogCursor?, on connection: LinkConnection
    ) {
        state.withLock { state in
            connection.send(response)
            guard let target = state.attaching.removeValue(forKey: session) else { return }
            state.attached.append(target)
            let missed = cursor.map { cursor in state.entries.filter { $0.position > cursor.position } } ?? []
            for start in stride(from: 0, to: missed.count, by: Self.missedInFrame) {
                var delivery = LinkDelivery()
                delivery.items = missed[start...].prefix(Self.missedInFrame).map { entry in
                    var item = LinkDelivery.Item()
                    item.entry = entry
                    item.sessions = [session]
                    return item
                }
                target.connection.send(delivery)
            }
        }
    }

    var entryCount: Int { state.withLock { $0.entries.count } }
    var attachedSessions: Int { state.withLock { $0.attached.count } }

    // MARK: Answers

    private func answer(_ request: LinkRequest, _ connection: LinkConnection) -> LinkResponse {
        do throws(Refusal) {
            return LinkResponse(id: request.id, try body(request, connection))
        } catch {
            return LinkResponse(id: request.id, error)
        }
    }

    private func user(_ request: LinkRequest) throws(Refusal) -> Int64 {
        if let secret = [Self.alice, Self.bob].first(where: { $0.token == Array(request.token) }) {
            return secret.user
        }
        let attached = state.withLock { state in
            state.attached.first { $0.session == request.session }?.user
        }
        guard let attached else { throw Refusal(.unauthenticated, "The session has ended.") }
        return attached
    }

    private func body(
        _ request: LinkRequest, _ connection: LinkConnection
    ) throws(Refusal) -> LinkResponse.OneOf_Body {
        switch request.body {
        case .getStatus:
            var status = LinkStatus()
            status.state = "active"
            return .status(status)
        case .logIn(let logIn):
            guard logIn.password == "right" else {
                throw Refusal(.badCredentials, "Login or password is wrong.")
            }
            var loggedIn = LinkLoggedIn()
            loggedIn.token = .init(Self.alice.token)
            loggedIn.identity = identity(Self.alice.user)
            return .loggedIn(loggedIn)
        case .attach: return .attached(attach(request.session, try user(request), connection))
        case .detach:
            state.withLock { $0.attached.removeAll { $0.session == request.session } }
            return .done(LinkDone())
        case .sendMessage(let message):
            return .accepted(try send(message, from: try user(request), request.session))
        case .createThread:
            _ = try user(request)
            var accepted = LinkAccepted()
            accepted.position = 1
            accepted.number = 1
            accepted.thread.id = Self.thread
            return .threadCreated(accepted)
        default:
            let user = try user(request)
            return try read(request, user)
        }
    }

    private func read(_ request: LinkRequest, _ user: Int64) throws(Refusal) -> LinkResponse.OneOf_Body {
        switch request.body {
        case .whoAmI: return .identity(identity(user))
        case .findUsers:
            var users = LinkUsers()
            users.users = [identity(Self.alice.user).user, identity(Self.bob.user).user]
            return .users(users)
        case .getInbox:
            var inbox = LinkInbox()
            inbox.cursor = head
            inbox.threads = [thread]
            return .inbox(inbox)
        case .getThread(let get):
            try check(thread: get.thread)
            return .thread(thread)
        case .getHistory(let get):
            try check(thread: get.thread)
            var history = LinkHistory()
            history.entries = state.withLock { $0.entries }
            return .history(history)
        case .getMessage(let get):
            try check(thread: get.thread)
            guard let entry = state.withLock({ $0.entries.first { $0.number == get.number } }) else {
                throw Refusal(.notFound, "There is no such message.")
            }
            var details = LinkMessageDetails()
            details.entry = entry
            return .messageDetails(details)
        case .readLog(let read):
            state.withLock { $0.logReads += 1 }
            var page = LinkLogPage()
            page.cursor = head
            page.entries =
                read.hasCursor_p ? state.withLock { $0.entries.filter { $0.position > read.position } } : []
            return .logPage(page)
        case .addParticipants, .leaveThread, .recallMessage: return .accepted(LinkAccepted())
        default: return .done(LinkDone())
        }
    }

    private func send(
        _ message: LinkSendMessage, from user: Int64, _ session: UInt64
    ) throws(Refusal) -> LinkAccepted {
        try check(thread: message.thread)
        let result: Result<LinkAccepted, Refusal> = state.withLock { state in
            var accepted = LinkAccepted()
            if let known = state.entries.first(where: { $0.clientIDLow == message.clientIDLow }) {
                guard known.body == message.text else {
                    return .failure(Refusal(.keyReused, "This client id was used for another text."))
                }
                (accepted.position, accepted.number, accepted.replayed) = (known.position, known.number, true)
                return .success(accepted)
            }
            let content = EntryContent.message(text: Sealed(message.text), priority: .normal)
            let entry = append(content, author: user, clientID: message.clientID, to: &state)
            (accepted.position, accepted.number, accepted.at) = (entry.position, entry.number, entry.at)
            for target in state.attached where target.session != session {
                var item = LinkDelivery.Item()
                item.entry = entry
                item.sessions = [target.session]
                var delivery = LinkDelivery()
                delivery.items = [item]
                target.connection.send(delivery)
            }
            return .success(accepted)
        }
        return try result.get()
    }

    private func append(
        _ content: EntryContent, author: Int64, clientID: ClientID, to state: inout State
    ) -> LinkEntry {
        let position = Int64(state.entries.count + 1)
        var number: Int64? = position
        if case .receipts = content { number = nil }
        let entry = LinkEntry(
            LogEntry(
                position: position, thread: .init(rawValue: Self.thread), number: number,
                author: .init(rawValue: author), device: nil, clientID: clientID,
                at: Timestamp(microseconds: 1_795_400_000_123_000), content: content))
        state.entries.append(entry)
        return entry
    }

    private func attach(_ session: UInt64, _ user: Int64, _ connection: LinkConnection) -> LinkAttached {
        var attached = LinkAttached()
        attached.identity = identity(user)
        attached.cursor = head
        state.withLock {
            $0.attaching[session] = Attached(session: session, user: user, connection: connection)
        }
        return attached
    }

    private var head: LogCursor {
        state.withLock {
            LogCursor(epoch: $0.epoch, position: max(Int64($0.entries.count), $0.followed))
        }
    }

    private var thread: LinkThread {
        var thread = LinkThread()
        (thread.id, thread.subject, thread.lastNumber) = (Self.thread, "Ward 7", 5)
        return thread
    }

    private func check(thread: Int64) throws(Refusal) {
        guard thread == Self.thread else { throw Refusal(.notFound, "There is no such thread.") }
    }

    private func identity(_ user: Int64) -> LinkIdentity {
        var identity = LinkIdentity()
        identity.user.id = user
        identity.user.login = user == Self.alice.user ? "alice" : "bob"
        identity.user.name = user == Self.alice.user ? "Alice" : "Bob"
        (identity.customer, identity.customerName, identity.device) = (5, "Clinic", 9)
        return identity
    }
}
