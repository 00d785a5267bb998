import Domain
import SQLDatabase
import ServiceLink
import Store

/// How a session joins the feed: first what it missed, then live, with no gap and no double.
extension CustomerFeed {
    func attach(_ session: LiveSession, _ request: AttachRequest) async throws {
        guard !session.isClosed, let head, let user = session.record?.user.id else {
            return request.reply.refuse(Self.closedMeanwhile)
        }
        guard let cursor = request.cursor else { return begin(session, request, missed: []) }
        guard cursor.epoch == head.epoch else { return begin(session, request, missed: nil) }
        // The client may have followed the log further through another server.
        if cursor.position > position { try await readOn() }
        // … or it was another log than the one that this server now finds.
        guard cursor.epoch == self.head?.epoch, cursor.position <= position else {
            return begin(session, request, missed: nil)
        }
        if let missed = try await tailEntries(after: cursor.position, for: user) {
            return begin(session, request, missed: missed)
        }
        guard position - cursor.position <= Self.catchUpSpan else {
            return begin(session, request, missed: nil)
        }
        catchUp(session, request, after: cursor.position, having: [])
    }

    /// Reads what a session missed outside the feed's own order, so that the others do not wait for it.
    private func catchUp(
        _ session: LiveSession, _ request: AttachRequest, after: LogPosition, having: [LogEntry]
    ) {
        guard let record = session.record else { return request.reply.refuse(Self.closedMeanwhile) }
        let user = record.user.id
        let upTo = position
        let isTaken = catchUps.submit(.init(record)) { [self] in
            // Who waited too long has been moved to another server, and is read nothing more.
            guard !session.isClosed else { return request.reply.refuse(Self.closedMeanwhile) }
            await RequestRouter.untilTaken(by: session.connection)
            do {
                var missed = having
                var from = after
                while !session.isClosed, !Self.isTooMuch(missed) {
                    let slice = try await store.entries(
                        for: user, of: customer, after: from, upTo: upTo, limit: Self.catchUpSlice)
                    missed += slice
                    guard slice.count == Self.catchUpSlice, let last = slice.last else { break }
                    from = last.position
                }
                tell(.caughtUp(session, request, missed, upTo: upTo))
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
        _ session: LiveSession, _ request: AttachRequest, _ missed: [LogEntry], upTo: LogPosition
    ) async throws {
        guard !session.isClosed, let user = session.record?.user.id else {
            return request.reply.refuse(Self.closedMeanwhile)
        }
        // The log may have become another one meanwhile, of which the notice went to live sessions only.
        guard request.cursor?.epoch == head?.epoch, !Self.isTooMuch(missed) else {
            return begin(session, request, missed: nil)
        }
        if let rest = try await tailEntries(after: upTo, for: user) {
            begin(session, request, missed: missed + rest)
        } else if let cursor = request.cursor, position - cursor.position > Self.catchUpSpan {
            // The log grew faster than it was read.
            begin(session, request, missed: nil)
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
    /// - Parameter missed: nil when the session has to start anew.
    private func begin(_ session: LiveSession, _ request: AttachRequest, missed: [LogEntry]?) {
        guard let head, let record = session.record else { return }
        // Revoked between the look at its token and now: what the log said then concerned only live sessions.
        guard !sessionDirectory.hasEnded(record.id) else {
            session.close()
            return request.reply.refuse(SessionDirectory.unauthenticated)
        }
        var attached = LinkAttached()
        attached.identity = LinkIdentity(record)
        attached.cursor = LogCursor(epoch: head.epoch, position: position)
        attached.resync = missed.map(Self.isTooMuch) ?? true
        sessions.add(session, of: record.user.id)
        request.reply.answer(.attached(attached))
        guard let missed, !attached.resync, !missed.isEmpty else { return }
        var delivery = LinkDelivery()
        delivery.items = missed.map { entry in
            var item = LinkDelivery.Item()
            item.entry = LinkEntry(entry)
            item.sessions = [session.address.session]
            return item
        }
        session.connection.send(delivery)
    }
}
