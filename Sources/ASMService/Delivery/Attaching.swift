import Domain
import Logging
import SQLDatabase
import ServiceLink
import Store

/// How a session joins the feed: first what it missed, then live, with no gap and no double.
extension CustomerFeed {
    func attach(_ session: LiveSession, _ request: AttachRequest) async throws {
        guard !session.isClosed, let head, let user = session.record?.user.id else {
            return request.reply.refuse(Self.closedMeanwhile)
        }
        guard let cursor = request.cursor else { return begin(session, request, .entries([])) }
        guard cursor.epoch == head.epoch else { return begin(session, request, .otherLog) }
        // The client may have followed the log further through another server.
        if cursor.position > position { try await readOn() }
        // … or it was another log than the one that this server now finds.
        guard cursor.epoch == self.head?.epoch, cursor.position <= position else {
            return begin(session, request, .otherLog)
        }
        let isTooFar = position - cursor.position > Self.catchUpSpan
        switch stands(cursor) {
        case false?: return begin(session, request, .otherLog)
        case true?:
            if let missed = try await tailEntries(after: cursor.position, for: user) {
                return begin(session, request, .entries(missed))
            }
            if isTooFar { return begin(session, request, .tooFarBehind) }
            catchUp(session, request, after: cursor.position)
        case nil: catchUp(session, request, after: cursor.position, looksFor: cursor, reads: !isTooFar)
        }
    }

    /// Whether the log followed here has the entry of the cursor at its position; nil when memory does not say.
    private func stands(_ cursor: LogCursor) -> Bool? {
        guard cursor.fingerprint != nil else { return true }
        guard cursor.position < position else { return cursor.mayStand(at: mark) }
        return recent(at: cursor.position).map { cursor.mayStand(at: $0.mark) }
    }

    /// Reads what a session missed outside the feed's own order, so that the others do not wait for it.
    /// - Parameter cursor: when set, the entry there is looked at first.
    /// - Parameter reads: false when it has only to be told why it starts anew.
    private func catchUp(
        _ session: LiveSession, _ request: AttachRequest, after: LogPosition, having: [LogEntry] = [],
        looksFor cursor: LogCursor? = nil, reads: Bool = true
    ) {
        guard let record = session.record else { return request.reply.refuse(Self.closedMeanwhile) }
        let user = record.user.id
        let upTo = position
        let isTaken = catchUps.submit(.init(record)) { [self] in
            // Who waited too long has been moved to another server, and is read nothing more.
            guard !session.isClosed else { return request.reply.refuse(Self.closedMeanwhile) }
            await RequestRouter.untilTaken(by: session.connection)
            do {
                if let cursor {
                    let found = try await store.look(at: cursor.position, of: customer)
                    guard cursor.mayStand(at: found.mark) else {
                        return tell(.caughtUp(session, request, .otherLog, upTo: upTo))
                    }
                }
                guard reads else { return tell(.caughtUp(session, request, .tooFarBehind, upTo: upTo)) }
                var missed = having
                var from = after
                while !session.isClosed, !Self.isTooMuch(missed) {
                    let slice = try await store.entries(
                        for: user, of: customer, after: from, upTo: upTo, limit: Self.catchUpSlice)
                    missed += slice
                    guard slice.count == Self.catchUpSlice, let last = slice.last else { break }
                    from = last.position
                }
                tell(.caughtUp(session, request, .entries(missed), upTo: upTo))
            } catch {
                request.reply.refuse(Refusal(failureOfRequest: error))
            }
        }
        if !isTaken { request.reply.refuse(Refusal(failureOfRequest: SQLError.overloaded("catching up"))) }
    }

    /// Its connection is gone, or another session has its number: a request is answered all the same.
    private static let closedMeanwhile = Refusal(
        .unavailable, "The session was closed while it was attached; attach it again.")

    /// Whether a client had better load its threads page by page than be sent all this.
    private static func isTooMuch(_ missed: [LogEntry]) -> Bool {
        missed.count > catchUpEntries || missed.reduce(0) { $0 + $1.textBytes } > catchUpBytes
    }

    func finishAttach(
        _ session: LiveSession, _ request: AttachRequest, _ found: CaughtUp, upTo: LogPosition
    ) async throws {
        guard !session.isClosed, let user = session.record?.user.id else {
            return request.reply.refuse(Self.closedMeanwhile)
        }
        // The log may have become another one meanwhile, of which the notice went to live sessions only.
        guard request.cursor?.epoch == head?.epoch else { return begin(session, request, .otherLog) }
        guard case .entries(let missed) = found, !Self.isTooMuch(missed) else {
            return begin(session, request, found)
        }
        if let rest = try await tailEntries(after: upTo, for: user) {
            begin(session, request, .entries(missed + rest))
        } else if let cursor = request.cursor, position - cursor.position > Self.catchUpSpan {
            // The log grew faster than it was read.
            begin(session, request, .tooFarBehind)
        } else {
            catchUp(session, request, after: upTo, having: missed)
        }
    }

    /// Whether somebody takes part in a thread: true only where memory says so, which may lag behind the log.
    func knows(_ user: User.ID, in thread: MessageThread.ID) -> Bool {
        threads[thread]?.participants[user].map { $0.left == nil } ?? false
    }

    /// The entries after a position that concern a user, from memory; nil when memory does not reach back so far.
    private func tailEntries(after: LogPosition, for user: User.ID) async throws -> [LogEntry]? {
        guard after < position else { return [] }
        guard let oldest = tail.first?.position, oldest <= after + 1 else { return nil }
        let recent = tail.suffix(Int(position - after))
        try await loadThreads(of: Array(recent), evenWithoutSessions: true)
        return recent.filter { entry in
            guard let cache = threads[entry.thread] else { return false }
            var concerns = false
            cache.forEachReader(of: entry) { if $0 == user { concerns = true } }
            return concerns
        }
    }

    /// Answers the attach, sends what was missed, and puts the session on the live list.
    private func begin(_ session: LiveSession, _ request: AttachRequest, _ found: CaughtUp) {
        guard let head, let record = session.record else { return }
        // Revoked between the look at its token and now: what the log said then concerned only live sessions.
        guard !sessionDirectory.hasEnded(record.id) else {
            session.close()
            return request.reply.refuse(SessionDirectory.unauthenticated)
        }
        var attached = LinkAttached()
        attached.identity = LinkIdentity(record)
        attached.cursor = markedHead(in: head.epoch).cursor
        var missed: [LogEntry] = []
        switch found {
        case .entries(let entries) where !Self.isTooMuch(entries): missed = entries
        case .entries, .tooFarBehind: attached.resync = true
        case .otherLog:
            attached.resync = true
            attached.otherLog = true
            sayOtherLog()
        }
        sessions.add(session, of: record.user.id)
        request.reply.answer(.attached(attached))
        if !missed.isEmpty { session.connection.send(Self.delivery(of: missed, to: session)) }
        // It has all up to here now, however far back it stood.
        if let cursor = request.cursor, !attached.resync, position - cursor.position >= Self.followedEvery {
            tellFollowed(session.connection)
        }
    }

    private static func delivery(of missed: [LogEntry], to session: LiveSession) -> LinkDelivery {
        var delivery = LinkDelivery()
        delivery.items = missed.map { entry in
            var item = LinkDelivery.Item()
            item.entry = LinkEntry(entry)
            item.sessions = [session.address.session]
            return item
        }
        return delivery
    }

    /// Says once that a client knew more than the log has, or something else.
    ///
    /// Nothing follows from it for others: a cursor is a client's word, which can be forged, so it must not be a way to let
    /// everybody begin anew.
    private func sayOtherLog() {
        guard !hasSaidOtherLog else { return }
        hasSaidOtherLog = true
        Logger.current.warning(
            """
            A client has followed another history of a log; it is told to load it anew. If the database was restored \
            from a backup, stop all ASM Services and run `asm log new-epoch`
            """,
            metadata: ["customer.id": "\(customer)", "log.head": "\(position)"])
    }
}
