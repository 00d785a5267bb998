import Domain
import Logging
import Observability
import ServiceLink
import Store
import Synchronization

/// Takes every request of the service link to the one part that answers it.
///
/// Messages and receipts, the hot path, go straight from the event loop into the customer's append queue; everything
/// else runs as a task of its own.
final class RequestRouter: LinkService {
    /// Requests other than messages and receipts that may be in hand at once.
    static let tasks = 2_000

    let store: Store
    let standing: ServerStanding
    let work: BackgroundWork
    let logs: CustomerLogs
    let authenticate: Authenticate
    let logIn: LogIn
    let limits: MessageLimits
    let certificates: CertificateEvents
    let software: String
    let times: ClusterTimes
    let admission: Admission
    private let peers = Mutex<[UInt64: [UInt64: LiveSession]]>([:])
    private let inHand = Mutex(0)

    init(
        store: Store, standing: ServerStanding, work: BackgroundWork, logs: CustomerLogs,
        directory: SessionDirectory, logIn: LogIn, limits: MessageLimits,
        certificates: CertificateEvents, software: String, times: ClusterTimes, admission: Admission
    ) {
        self.admission = admission
        self.store = store
        self.standing = standing
        self.work = work
        self.logs = logs
        authenticate = Authenticate(directory: directory, logs: logs)
        self.logIn = logIn
        self.limits = limits
        self.certificates = certificates
        self.software = software
        self.times = times
    }

    func received(_ requests: [LinkRequest], from connection: LinkConnection) {
        let refusal = standing.refusal
        for request in requests {
            let reply = ReplyAddress(connection: connection, request: request.id)
            switch request.body {
            case .getStatus: reply.answer(.status(status))
            case .detach:
                detach(request.session, from: connection)
                reply.answer(.done(LinkDone()))
            case .getCluster:
                inTask(reply) { [self] in reply.answer(.cluster(try await cluster(for: connection.peer))) }
            case _ where refusal != nil: reply.refuse(refusal ?? SessionDirectory.unauthenticated)
            case .sendMessage(let message) where request.session != 0:
                send(message, session: request.session, reply: reply)
            case .markReceipt(let receipt) where request.session != 0:
                mark(receipt, session: request.session, reply: reply)
            case .attach(let attach): self.attach(attach, request, reply)
            default: admit(request, reply)
            }
        }
    }

    func closed(_ connection: LinkConnection) {
        let sessions = peers.withLock { $0.removeValue(forKey: connection.id) } ?? [:]
        for session in sessions.values { session.close() }
        logs.connectionClosed(connection.id)
    }

    private var status: LinkStatus {
        var status = LinkStatus()
        let condition = standing.condition
        status.state = condition.word
        status.reason = condition.sentence
        status.software = software
        status.server = standing.identity?.server ?? 0
        return status
    }
}

// MARK: - Live sessions

extension RequestRouter {
    func live(_ session: UInt64, on connection: LinkConnection) -> LiveSession? {
        peers.withLock { $0[connection.id]?[session] }
    }

    private func send(_ message: LinkSendMessage, session number: UInt64, reply: ReplyAddress) {
        guard let session = live(number, on: reply.connection), let record = session.record else {
            return reply.refuse(SessionDirectory.unauthenticated)
        }
        guard let draft = draft(message, from: record, reply: reply) else { return }
        logs.log(of: record.user.customer).appender.append(draft, from: session, reply: reply)
    }

    /// The message to append; nil when it was refused.
    func draft(_ message: LinkSendMessage, from record: SessionRecord, reply: ReplyAddress) -> NewMessage? {
        do {
            try limits.check(text: message.text)
        } catch {
            reply.refuse(Refusal(error))
            return nil
        }
        if let refusal = admission.send(by: record.user.id) {
            reply.refuse(refusal)
            return nil
        }
        return NewMessage(
            thread: .init(rawValue: message.thread), author: record.user.id, device: record.device.id,
            clientID: message.clientID,
            priority: Priority(rawValue: Int(clamping: message.priority)) ?? .normal,
            text: message.text)
    }

    private func mark(_ receipt: LinkMarkReceipt, session number: UInt64, reply: ReplyAddress) {
        guard let session = live(number, on: reply.connection), let record = session.record else {
            return reply.refuse(SessionDirectory.unauthenticated)
        }
        logs.log(of: record.user.customer).appender.mark(
            NewReceipt(receipt, by: record.user), origin: session.address)
        reply.answer(.done(LinkDone()))
    }

    private func attach(_ attach: LinkAttach, _ request: LinkRequest, _ reply: ReplyAddress) {
        let session = LiveSession(number: request.session, connection: reply.connection)
        let old = peers.withLock { peers in
            peers[reply.connection.id, default: [:]].updateValue(session, forKey: request.session)
        }
        old?.close()
        inTask(reply) { [self] in
            let record = try await authenticate(Array(request.token))
            guard let leave = admission.connect(record) else { throw Admission.tooManyConnections }
            session.accept(record, whenClosed: leave)
            logs.log(of: record.user.customer).feed
                .tell(.attach(session, .init(reply: reply, cursor: attach.cursor)))
        }
    }

    private func detach(_ number: UInt64, from connection: LinkConnection) {
        guard let session = peers.withLock({ $0[connection.id]?.removeValue(forKey: number) }) else { return }
        let customer = session.record?.user.customer
        session.close()
        if let customer { logs.log(of: customer).feed.tell(.detach(session.address)) }
    }
}

// MARK: - Requests with a task of their own

extension RequestRouter {
    /// Without an admission: for what comes before it is known who asks.
    func inTask(_ reply: ReplyAddress, _ job: @escaping @Sendable () async throws -> Void) {
        let isFull = inHand.withLock { inHand in
            guard inHand < Self.tasks else { return true }
            inHand += 1
            return false
        }
        guard !isFull else {
            return reply.refuse(
                Refusal(.tooManyRequests, "This server is busy; try again.", retryAfterMilliseconds: 1_000))
        }
        let isStarted = work.start { [self] in
            defer { inHand.withLock { $0 -= 1 } }
            await refusing(reply, job)
        }
        if !isStarted {
            inHand.withLock { $0 -= 1 }
            reply.refuse(Refusal(failureOfRequest: CancellationError()))
        }
    }

    /// Does the job, and answers with a refusal where it throws.
    func refusing(_ reply: ReplyAddress, _ job: () async throws -> Void) async {
        do { try await job() } catch {
            let refusal = Refusal(failureOfRequest: error)
            if refusal.code == .internalError {
                Logger.current.error("A request failed", metadata: ["error": "\(error)"])
            }
            reply.refuse(refusal)
        }
    }

    /// The answer to a request that was admitted.
    func answer(_ request: LinkRequest, _ caller: SessionRecord) async throws -> LinkResponse.OneOf_Body {
        switch request.body {
        case .createThread(let wish): return try await create(wish, caller)
        case .addParticipants(let wish):
            let change = ThreadChange.addParticipants(
                .init(rawValue: wish.thread), wish.users.map(User.ID.init(rawValue:)))
            return .accepted(LinkAccepted(try await self.change(change, caller, wish.clientID).acceptance))
        case .leaveThread(let wish):
            let change = ThreadChange.leave(.init(rawValue: wish.thread))
            return .accepted(LinkAccepted(try await self.change(change, caller, wish.clientID).acceptance))
        case .recallMessage(let wish):
            let change = ThreadChange.recall(.init(rawValue: wish.thread), wish.number)
            return .accepted(LinkAccepted(try await self.change(change, caller, wish.clientID).acceptance))
        case .logOut:
            guard let fence = standing.fence else { throw StoreError.superseded }
            try await store.revoke(caller, fence: fence)
            logs.changed(caller.user.customer)
            return .done(LinkDone())
        default: return try await read(request, caller)
        }
    }

    private func create(_ wish: LinkCreateThread, _ caller: SessionRecord) async throws
        -> LinkResponse.OneOf_Body
    {
        do { try limits.check(subject: wish.subject) } catch { throw Refusal(error) }
        guard !wish.subject.holdsNUL else {
            throw Refusal(.badRequest, "The subject holds a NUL, which a subject cannot hold.")
        }
        let participants = wish.participants.map(User.ID.init(rawValue:))
        let made = try await change(
            .create(.random(), subject: wish.subject, participants: participants), caller, wish.clientID)
        var accepted = LinkAccepted(made.acceptance)
        do {
            let view = try await store.thread(made.thread, for: caller.user.id, at: caller.user.customer)
            if let view { accepted.thread = LinkThread(view) }
        } catch {
            // The thread is there: its creation must not be told as if it had not been accepted.
            throw Refusal(
                .unavailable, "The thread was made and cannot be read; ask again with the same client id.",
                retryAfterMilliseconds: 1_000)
        }
        return .threadCreated(accepted)
    }

    private func change(
        _ change: ThreadChange, _ caller: SessionRecord, _ clientID: ClientID
    ) async throws -> ChangeResult {
        guard let fence = standing.fence else { throw StoreError.superseded }
        let author = ChangeAuthor(
            customer: caller.user.customer, user: caller.user.id, device: caller.device.id, clientID: clientID
        )
        let result = try await store.change(change, by: author, fence: fence)
        logs.changed(caller.user.customer)
        return result
    }
}

extension SessionAddress {
    /// The origin of what came from no live session.
    static let none = SessionAddress(connection: 0, session: 0)
}

extension NewReceipt {
    init(_ receipt: LinkMarkReceipt, by user: User) {
        self.init(
            thread: .init(rawValue: receipt.thread), user: user.id, delivered: receipt.delivered,
            read: receipt.read)
    }
}

extension Refusal {
    /// The refusal that a draft's rejection becomes for the client.
    init(_ rejection: DraftRejection) {
        switch rejection {
        case .empty: self.init(.empty, "A message needs a text.")
        case .tooLarge(let limit): self.init(.tooLarge, "The text is longer than \(limit) bytes of UTF-8.")
        case .lineBreakInSubject: self.init(.badRequest, "A subject is one line.")
        case .tooManyParticipants(let limit):
            self.init(.badRequest, "A thread takes at most \(limit) participants.")
        }
    }
}
