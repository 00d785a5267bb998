import DequeModule
import Domain
import Foundation
import Logging
import NIOCore
import Observability
import SwiftProtobuf

/// Live sessions: attached to one server each, and attached again elsewhere when it goes.
extension PoolCore {
    func open(_ session: SessionState) {
        guard phase != .stopped else {
            session.sink?.ended(Self.unavailable)
            return
        }
        sessions[session.id] = session
        waiting.append(session)
        attachWaiting()
    }

    func close(_ id: UInt64) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        leaveConnection(session)
        end(session, Self.unavailable)
    }

    /// Takes it off its connection, and tells the server where that is still there.
    private func leaveConnection(_ session: SessionState) {
        guard let connection = session.connection else { return }
        if case .attached = session.phase { connection.server.sessions -= 1 }
        connection.removeAttach(of: session)
        session.phase = .waiting
        guard !connection.isLost else { return }
        var request = LinkRequest()
        request.session = session.id
        request.body = .detach(LinkDetach())
        if let frame = encode(request) { connection.outbox.append(frame) }
    }

    /// Lets a session wait for another server; its unanswered messages go with it.
    func move(_ session: SessionState, isFree: Bool) {
        session.forgetOldMarks(now: now, limits: limits)
        // No server has them for sure; the log takes the furthest, so repeating them does no harm.
        for index in session.marks.indices { session.marks[index].sentAt = nil }
        session.avoids = session.connection?.server.index
        session.repeatsAreFree = isFree
        leaveConnection(session)
        waiting.append(session)
    }

    /// Takes a refused session off a server that it was left on, because that one is going and there was no
    /// other.
    private func moveFurther(_ session: SessionState, from connection: ServerConnection) {
        guard session.connection === connection else { return }
        move(session, isFree: false)
        attachWaiting()
    }

    private func end(_ session: SessionState, _ refusal: Refusal) {
        session.phase = .closed
        session.sink = nil
        // What a server was given may be stored: only what never left is refused for good.
        for send in Array(session.sends) {
            finish(send, .failure(send.attempts > 0 ? Self.unavailable : refusal))
        }
    }

    // MARK: Attaching

    /// Gives waiting sessions to healthy servers, as many at a time as each may attach.
    func attachWaiting() {
        var notYet: [SessionState] = []
        while let session = waiting.popFirst() {
            guard session.isWaiting else { continue }
            guard session.notBefore <= now else {
                notYet.append(session)
                continue
            }
            guard let connection = pickForSession(avoiding: session.avoids) else {
                waiting.prepend(session)
                break
            }
            attach(session, on: connection)
        }
        waiting.append(contentsOf: notYet)
    }

    private func attach(_ session: SessionState, on connection: ServerConnection) {
        var request = LinkRequest()
        let deadline = now + TimeAmount(limits.attemptWithin)
        request.id = nextRequestID()
        request.deadlineMilliseconds = milliseconds(until: deadline)
        request.session = session.id
        request.token = session.token
        var attach = LinkAttach()
        attach.cursor = session.cursor
        request.body = .attach(attach)
        guard let frame = encode(request) else { return ended(session, Self.tooLarge) }
        session.phase = .attaching(connection)
        session.attachID = request.id
        connection.attaching += 1
        connection.ask(.attach(session), frame, id: request.id, until: deadline)
    }

    func answered(
        _ session: SessionState, id: UInt64, _ body: LinkResponse.OneOf_Body?, on connection: ServerConnection
    ) {
        connection.attaching -= 1
        guard case .attaching(let current) = session.phase, current === connection, session.attachID == id
        else { return }
        switch body {
        case .attached(let attached): becameAttached(session, attached, to: connection)
        case .refused(let refused):
            let refusal = Refusal(refused)
            switch refusal.code {
            case .unavailable:
                leave(connection, because: .refusing(refusal.message))
                moveFurther(session, from: connection)
            case .unauthenticated, .badCredentials, .forbidden, .notFound, .badRequest:
                ended(session, refusal)
            default: attachLater(session, refusal)
            }
        default: attachLater(session, Self.notUnderstood)
        }
        if !waiting.isEmpty { attachWaiting() }
    }

    private func attachLater(_ session: SessionState, _ refusal: Refusal) {
        logger.warning(
            "A session was not attached",
            metadata: ["link.session": "\(session.id)", "link.reason": "\(refusal.code)"])
        move(session, isFree: false)
        session.notBefore =
            now
            + max(
                TimeAmount(limits.probeEvery), .milliseconds(Int64(refusal.retryAfterMilliseconds ?? 0)))
    }

    private func becameAttached(
        _ session: SessionState, _ attached: LinkAttached, to connection: ServerConnection
    ) {
        let isFirst = !session.wasAttached
        session.phase = .attached(connection)
        session.avoids = nil
        session.wasAttached = true
        connection.server.sessions += 1
        session.customer = attached.identity.customer
        let beginsAnew = attached.resync || session.cursor?.epoch != attached.cursor.epoch
        // Servers of older versions say it only by the epoch.
        let isOtherEpoch = session.cursor.map { $0.epoch != attached.cursor.epoch } ?? false
        let otherLog = attached.otherLog || isOtherEpoch
        if beginsAnew { session.cursor = attached.cursor }
        if isFirst {
            var attached = attached
            attached.otherLog = attached.resync && otherLog
            // What was missed is still to come: until then the client stands where it said it did.
            if let cursor = session.cursor { attached.cursor = cursor }
            session.sink?.attached(attached)
        } else {
            counters.reattached.add()
            if beginsAnew { session.sink?.resync(at: attached.cursor, otherLog: otherLog) }
        }
        session.sink?.moved(to: connection.server.address)
        repeatSends(of: session, on: connection)
        session.forgetOldMarks(now: now, limits: limits)
        for index in session.marks.indices {
            transmit(session.marks[index].receipt, of: session, on: connection)
            session.marks[index].sentAt = now
        }
    }

    /// A server ended sessions, or has them load their past anew.
    func received(_ notice: LinkSessionEnded, on connection: ServerConnection) {
        for id in notice.sessions {
            guard let session = sessions[id], session.connection === connection else { continue }
            switch notice.code {
            case "resync":
                guard case .attached = session.phase else { continue }
                // A server says it of a session that it has only when the log has become another one.
                session.cursor = notice.cursor
                session.sink?.resync(at: notice.cursor, otherLog: true)
            case Refusal.Code.unavailable.rawValue: move(session, isFree: false)
            default:
                let code = Refusal.Code(rawValue: notice.code) ?? .unauthenticated
                ended(session, Refusal(code, "The session has ended; log in again."))
            }
        }
        attachWaiting()
    }

    /// The session is over by a server's word.
    private func ended(_ session: SessionState, _ refusal: Refusal) {
        let sink = session.sink
        sessions[session.id] = nil
        leaveConnection(session)
        end(session, refusal)
        sink?.ended(refusal)
    }

    // MARK: Messages and marks

    func send(
        _ message: LinkSendMessage, of id: UInt64,
        reply: @escaping @Sendable (Result<LinkAccepted, Refusal>) -> Void
    ) {
        guard let session = sessions[id] else { return reply(.failure(Self.unavailable)) }
        guard session.unansweredSends < limits.sessionSends, outstanding < limits.outstandingRequests else {
            return reply(.failure(Self.tooMany))
        }
        let deadline = now + TimeAmount(limits.sendWithin)
        let send = PendingSend(session: session, message: message, deadline: deadline, reply: reply)
        session.sends.append(send)
        session.unansweredSends += 1
        outstanding += 1
        budget.countRequest()
        counters.requests.add()
        if case .attached(let connection) = session.phase { transmit(send, on: connection) }
    }

    private func transmit(_ send: PendingSend, on connection: ServerConnection) {
        let deadline = min(send.deadline, now + TimeAmount(limits.attemptWithin))
        var request = LinkRequest()
        request.id = nextRequestID()
        request.deadlineMilliseconds = milliseconds(until: deadline)
        request.session = send.session.id
        request.body = .sendMessage(send.message)
        guard let frame = encode(request) else { return finish(send, .failure(Self.tooLarge)) }
        send.attempts += 1
        send.attemptID = request.id
        connection.ask(.send(send), frame, id: request.id, until: deadline)
    }

    /// Sends all unanswered messages again, in their order.
    private func repeatSends(of session: SessionState, on connection: ServerConnection) {
        let isFree = session.repeatsAreFree
        session.repeatsAreFree = false
        for send in Array(session.sends) where !send.isDone {
            if send.attempts > 0 {
                guard send.attempts < limits.attempts, isFree || budget.spend() else {
                    return fail(from: send)
                }
                counters.retries.add()
            }
            guard send.deadline > now else { return fail(from: send) }
            transmit(send, on: connection)
        }
    }

    func answered(
        _ send: PendingSend, id: UInt64, _ body: LinkResponse.OneOf_Body?, on connection: ServerConnection
    ) {
        guard !send.isDone else { return }
        switch body {
        case .accepted(let accepted): finish(send, .success(accepted))
        case .refused(let refused):
            guard send.attemptID == id else { return }
            let refusal = Refusal(refused)
            guard refusal.code == .unavailable else {
                return finish(send, .failure(refusal.afterAttempts(send.attempts)))
            }
            leave(connection, because: .refusing(refusal.message))
            moveFurther(send.session, from: connection)
        default: finish(send, .failure(Self.notUnderstood))
        }
    }

    /// Refuses a message and all later ones of its session, so that repeating them keeps their order.
    func fail(from send: PendingSend) {
        for later in Array(send.session.sends.drop(while: { $0 !== send })) {
            finish(later, .failure(Self.unavailable))
        }
    }

    private func finish(_ send: PendingSend, _ result: Result<LinkAccepted, Refusal>) {
        guard !send.isDone else { return }
        send.isDone = true
        send.session.unansweredSends -= 1
        send.session.trimSends()
        outstanding -= 1
        send.reply(result)
    }

    /// Refuses the messages of a waiting session whose time is over.
    func expireSends(of session: SessionState) {
        guard let first = session.sends.first(where: { !$0.isDone }), first.deadline <= now else { return }
        fail(from: first)
    }

    func mark(_ receipt: LinkMarkReceipt, of id: UInt64) {
        guard let session = sessions[id] else { return }
        guard case .attached(let connection) = session.phase else {
            return session.keep(receipt, sentAt: nil, now: now, limits: limits)
        }
        session.keep(receipt, sentAt: now, now: now, limits: limits)
        transmit(receipt, of: session, on: connection)
    }

    private func transmit(
        _ receipt: LinkMarkReceipt, of session: SessionState, on connection: ServerConnection
    ) {
        var request = LinkRequest()
        request.session = session.id
        request.body = .markReceipt(receipt)
        if let frame = encode(request) { connection.outbox.append(frame) }
    }
}
