import Domain
import ServiceLink
import Store

/// How a request finds out whose it is, and gets its turn.
extension RequestRouter {
    /// How long a request may wait for its turn before it is refused; its caller asks for longer.
    static let turnWithin = Duration.seconds(2)
    /// A place is kept until less than this is on its way to the caller's process, or for a while: whose answers are read
    /// slowly waits for them himself, and does not fill the connection that carries others' answers.
    static let answerBytes = 1 << 20
    /// How long at most, since a process that stands still must not hold up those of other processes …
    static let answerWithin = Duration.milliseconds(200)
    /// … and how often it is looked.
    static let answerPace = Duration.milliseconds(5)
    /// With so much on its way, reads of that process are refused.
    static let cloggedBytes = 16 << 20

    func admit(_ request: LinkRequest, _ reply: ReplyAddress) {
        switch request.body {
        case .logIn(let attempt):
            inTask(reply) { [self] in reply.answer(.loggedIn(try await logIn(attempt))) }
        case .reportCertificate(let report):
            inTask(reply) { [self] in
                reply.answer(try await certificates.answer(report, from: reply.connection.peer))
            }
        default:
            if let caller = knownCaller(request, reply.connection) {
                return admit(request, caller, reply)
            }
            inTask(reply) { [self] in
                guard !request.token.isEmpty else { throw SessionDirectory.unauthenticated }
                admit(request, try await authenticate(Array(request.token)), reply)
            }
        }
    }

    /// The caller's session without a question to the database: that of the live session it names, or of its token.
    private func knownCaller(_ request: LinkRequest, _ connection: LinkConnection) -> SessionRecord? {
        if request.session != 0, let record = live(request.session, on: connection)?.record { return record }
        return request.token.isEmpty ? nil : authenticate.directory.cached(Array(request.token))
    }

    private func admit(_ request: LinkRequest, _ caller: SessionRecord, _ reply: ReplyAddress) {
        switch request.body {
        case .sendMessage(let message):
            guard let draft = draft(message, from: caller, reply: reply) else { return }
            logs.log(of: caller.user.customer).appender.append(draft, from: nil, reply: reply)
        case .markReceipt(let receipt):
            if let refusal = admission.send(by: caller.user.id) { return reply.refuse(refusal) }
            mark(receipt, by: caller, reply)
        default:
            take(Admission.Kind(of: request), of: caller, reply) { [self] in
                reply.answer(try await answer(request, caller))
            }
        }
    }

    /// Does a job when it is the caller's turn.
    private func take(
        _ kind: Admission.Kind, of caller: SessionRecord, _ reply: ReplyAddress,
        _ job: @escaping @Sendable () async throws -> Void
    ) {
        let came = ContinuousClock.now
        let refusal = admission.submit(kind, of: caller) { [self] in
            await refusing(reply) {
                guard .now < came + Self.turnWithin, reply.connection.waitingBytes < Self.cloggedBytes
                else { throw Self.waitedTooLong }
                try await job()
            }
            await Self.untilTaken(by: reply.connection)
        }
        if let refusal { reply.refuse(refusal) }
    }

    /// Receipts outside live sessions: who is not in the thread is told so. The database is asked only where memory does
    /// not say that the caller is.
    private func mark(_ receipt: LinkMarkReceipt, by caller: SessionRecord, _ reply: ReplyAddress) {
        let log = logs.log(of: caller.user.customer)
        let thread = MessageThread.ID(rawValue: receipt.thread)
        let mark: @Sendable () -> Void = {
            log.appender.mark(NewReceipt(receipt, by: caller.user), origin: nil)
            reply.answer(.done(LinkDone()))
        }
        inTask(reply) { [self] in
            guard await !log.feed.knows(caller.user.id, in: thread) else { return mark() }
            take(.read, of: caller, reply) { [self] in
                guard try await store.takesPart(caller.user, in: thread) else { throw AppendRefusal.notFound }
                mark()
            }
        }
    }

    /// Waits until the process at the other end has taken most of its answers, within bounds.
    static func untilTaken(by connection: LinkConnection) async {
        let end = ContinuousClock.now + answerWithin
        while connection.waitingBytes >= answerBytes, .now < end, !Task.isCancelled {
            // Ends early only at shutdown.
            try? await Task.sleep(for: answerPace)
        }
    }

    private static let waitedTooLong = Refusal(
        .tooManyRequests, "This server is busy; try again.", retryAfterMilliseconds: 1_000)
}

extension Admission.Kind {
    fileprivate init(of request: LinkRequest) {
        self =
            switch request.body {
            case .createThread: .newThread
            case .addParticipants, .leaveThread, .recallMessage, .logOut: .change
            default: .read
            }
    }
}
