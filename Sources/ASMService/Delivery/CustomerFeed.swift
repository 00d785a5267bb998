import DequeModule
import Domain
import Failpoints
import Logging
import Observability
import ServiceLink
import Store
import Synchronization

/// Follows one customer's log and gives its live sessions what concerns them, in log order.
///
/// What this server appended is handed over in memory; what others appended is read from the database as soon as a
/// notification, a gap in the positions or the poll tells of it. Events are handled one after the other, so an order
/// seen here is the order that every session sees.
actor CustomerFeed {
    /// Entries read from the database at a time.
    static let readLimit = 256
    /// The newest entries kept in memory, from which most resuming sessions are served.
    static let tailEntries = 4_096
    static let tailBytes = 8 << 20
    /// A session further behind than this starts anew (`resync`).
    static let catchUpEntries = 2_000
    /// … or than this many entries of the whole log, whoever they concern: so many are looked at for one session.
    static let catchUpSpan: LogPosition = 10_000
    /// … or than this many bytes of texts: what a phone loads page by page is not pushed at it in one go.
    static let catchUpBytes = 4 << 20
    /// What a resuming session missed is read from the database in slices of so many entries.
    static let catchUpSlice = 100
    /// Own commits that may wait for entries of other servers before them; what is dropped is read again.
    static let stashEntries = 8_192
    /// Threads whose participants are cached; beyond it the cache starts anew.
    static let cachedThreads = 50_000

    enum Event: Sendable {
        /// What an append of this server added, in order.
        case committed([CommittedEntry])
        /// The log may have grown: read on.
        case poll
        /// The database may be another one than before: look whether it has lost anything, and say so.
        case verify(CheckedContinuation<Void, any Error>?)
        case attach(LiveSession, AttachRequest)
        /// What the database held for a session that resumes, up to a position.
        case caughtUp(LiveSession, AttachRequest, CaughtUp, upTo: LogPosition)
        case detach(SessionAddress)
        case connectionClosed(UInt64)
    }

    /// What the database held for a session that resumes.
    enum CaughtUp: Sendable {
        case entries([LogEntry])
        /// So much was added since that it starts anew.
        case tooFarBehind
        /// Its cursor is of another history of the log.
        case otherLog
    }

    struct AttachRequest: Sendable {
        let reply: ReplyAddress
        let cursor: LogCursor?
    }

    nonisolated let customer: Customer.ID
    nonisolated let store: Store
    nonisolated let work: BackgroundWork
    nonisolated let metrics: LogMetrics
    nonisolated let sessionDirectory: SessionDirectory
    /// Where sessions that resume wait for their turn to be read what they missed.
    nonisolated let catchUps: FairQueue
    private nonisolated let sent: SentRequests
    private nonisolated let inbox = Mutex(Inbox())
    private nonisolated let followed = Mutex<MarkedHead?>(nil)

    var head: LogHead?
    var position: LogPosition = 0
    /// The mark of the entry there; nil when there is none.
    var mark: EntryMark?
    /// Whether nothing hints that the database may have lost what was followed.
    var isProven = true
    /// How far connections have been told that their sessions were delivered to.
    var toldFollowed: LogPosition = 0
    /// Whether this server has said already that a client knew another history of the log.
    var hasSaidOtherLog = false
    var stash: [LogPosition: CommittedEntry] = [:]
    var tail = Deque<LogEntry>()
    var tailSize = 0
    var threads: [MessageThread.ID: ThreadCache] = [:]
    var sessions = SessionTable()

    init(
        customer: Customer.ID, store: Store, work: BackgroundWork, metrics: LogMetrics,
        sessionDirectory: SessionDirectory, sent: SentRequests, catchUps: FairQueue
    ) {
        self.catchUps = catchUps
        self.customer = customer
        self.store = store
        self.work = work
        self.metrics = metrics
        self.sessionDirectory = sessionDirectory
        self.sent = sent
    }

    /// How far the log has been followed; 0 before the first look.
    nonisolated var followedPosition: LogPosition { followedHead?.head.position ?? 0 }

    /// The same with the mark of the entry there; nil before the first look.
    nonisolated var followedHead: MarkedHead? { followed.withLock { $0 } }

    private struct Inbox {
        var events: [Event] = []
        /// Entries in the `committed` events.
        var entries = 0
        /// The log may have grown. However often that is told, it is read once more after the events at hand.
        var pollIsDue = false
        var isRunning = false
    }

    /// Hands over an event; it is handled after those before it.
    ///
    /// Own commits beyond a bound are not kept for a feed that lags behind: it reads them from the log again.
    nonisolated func tell(_ event: Event) {
        let mustStart = inbox.withLock { inbox in
            switch event {
            case .committed(let entries) where inbox.entries + entries.count > Self.stashEntries:
                inbox.pollIsDue = true
                sent.forget(entries)
            case .committed(let entries):
                inbox.events.append(event)
                inbox.entries += entries.count
            case .poll: inbox.pollIsDue = true
            default: inbox.events.append(event)
            }
            defer { inbox.isRunning = true }
            return !inbox.isRunning
        }
        if mustStart, !work.start({ [self] in await handleEvents() }) { dropEvents() }
    }

    /// This server is going and handles no event any more: whoever waits for one is told so.
    private nonisolated func dropEvents() {
        while let events = nextEvents() {
            for event in events { answer(event, CancellationError()) }
        }
    }

    private func handleEvents() async {
        while let events = nextEvents() {
            for event in events {
                do { try await handle(event) } catch {
                    refuse(event, error)
                }
            }
            let now = head.map { markedHead(in: $0.epoch) }
            followed.withLock { $0 = now }
        }
    }

    private nonisolated func nextEvents() -> [Event]? {
        inbox.withLock { inbox in
            guard !inbox.events.isEmpty || inbox.pollIsDue else {
                inbox.isRunning = false
                return nil
            }
            defer {
                inbox.events = []
                inbox.entries = 0
                inbox.pollIsDue = false
            }
            return inbox.pollIsDue ? inbox.events + [.poll] : inbox.events
        }
    }

    /// Begins to follow at the log's end, if that has not been done.
    func open() async throws {
        guard head == nil else { return }
        let found = try await store.markedHead(of: customer)
        guard head == nil else { return }
        head = found.head
        position = found.head.position
        mark = found.mark
        toldFollowed = position
    }

    private func handle(_ event: Event) async throws {
        try await open()
        switch event {
        case .committed(let entries): try await take(entries)
        case .poll: try await readOn()
        case .verify(let asker):
            try await verify()
            asker?.resume()
        case .attach(let session, let request): try await attach(session, request)
        case .caughtUp(let session, let request, let found, let upTo):
            try await finishAttach(session, request, found, upTo: upTo)
        case .detach(let address): sessions.remove(address)
        case .connectionClosed(let connection): sessions.removeAll(of: connection)
        }
        metrics.sessions.set(sessions.count)
    }

    /// The database failed: whoever waits is told to try elsewhere; the poll reads on as soon as it can.
    private func refuse(_ event: Event, _ error: any Error) {
        Logger.current.warning("Following a log failed", metadata: ["error": "\(error)"])
        answer(event, error)
        if case .committed(let entries) = event {
            sent.forget(entries)
            for entry in entries where entry.entry.position > position { stashAway(entry) }
        }
    }

    private nonisolated func answer(_ event: Event, _ error: any Error) {
        switch event {
        case .verify(let asker): asker?.resume(throwing: error)
        case .attach(_, let request), .caughtUp(_, let request, _, _):
            request.reply.refuse(Refusal(failure: error))
        default: break
        }
    }
}

// MARK: - Following

extension CustomerFeed {
    /// Delivers own commits that continue the log; others wait until what lies between was read.
    private func take(_ entries: [CommittedEntry]) async throws {
        sent.forget(entries)
        // Another entry where one was followed: the log was cut there, and what follows is not its continuation.
        if !isProven || entries.contains(where: { contradicts($0.entry) }) { try await verify() }
        var isGap = false
        var batch: [CommittedEntry] = []
        for entry in entries {
            if entry.entry.position == position + Int64(batch.count) + 1 {
                batch.append(entry)
            } else if entry.entry.position > position {
                stashAway(entry)
                isGap = true
            }
        }
        try await deliver(batch)
        if isGap { try await readOn() }
    }

    private func stashAway(_ entry: CommittedEntry) {
        guard stash.count < Self.stashEntries else { return }
        stash[entry.entry.position] = entry
    }

    /// Reads and delivers until the log's end.
    func readOn() async throws {
        while true {
            if !isProven { try await verify() }
            try await deliverStashed()
            // The last entry that was followed is read again with those after it: they continue it only if it stands.
            let after = mark == nil ? position : position - 1
            var entries = try await store.entries(of: customer, after: after, limit: Self.readLimit + 1)
            if let mark {
                guard entries.first?.mark == mark else { return try await verify() }
                entries.removeFirst()
            }
            guard !entries.isEmpty else { return }
            metrics.followed.add(entries.count)
            let dense = entries.enumerated().prefix { $0.element.position == position + Int64($0.offset) + 1 }
            guard dense.count == entries.count else {
                #if FAILPOINTS
                    if Mutant.current == .sequenceCursor {
                        try await deliverPassingHoles(entries)
                        continue
                    }
                #endif
                throw FeedError.hole(after: position + Int64(dense.count))
            }
            try await deliver(
                entries.map {
                    CommittedEntry($0, origin: stash[$0.position]?.origin ?? sent.origin(of: $0))
                })
            if entries.count < Self.readLimit { return }
        }
    }

    #if FAILPOINTS
        /// The mutant `sequence-cursor`: what has not been committed yet is passed, and never looked for again.
        private func deliverPassingHoles(_ entries: [LogEntry]) async throws {
            for entry in entries {
                position = entry.position - 1
                try await deliver([CommittedEntry(entry, origin: sent.origin(of: entry))])
            }
        }
    #endif

    private func deliverStashed() async throws {
        var batch: [CommittedEntry] = []
        while let next = stash.removeValue(forKey: position + Int64(batch.count) + 1) { batch.append(next) }
        try await deliver(batch)
    }
}

/// What must never be seen: positions of a log are dense.
enum FeedError: Error, CustomStringConvertible {
    case hole(after: LogPosition)

    var description: String {
        switch self {
        case .hole(let position):
            "The log has a hole after position \(position); nothing beyond it is delivered."
        }
    }
}

// MARK: - Delivering

extension CustomerFeed {
    /// Gives each entry to the live sessions that it concerns: one frame for each connection.
    private func deliver(_ batch: [CommittedEntry]) async throws {
        guard let first = batch.first else { return }
        try await loadThreads(of: batch.map(\.entry))
        var deliveries: [UInt64: LinkDelivery] = [:]
        for committed in batch {
            let entry = committed.entry
            stash.removeValue(forKey: entry.position)
            keep(entry)
            if case .control(let control) = entry.content {
                obey(control)
                continue
            }
            threads[entry.thread]?.apply(entry)
            addItems(for: entry, except: committed.origin, to: &deliveries)
        }
        precondition(first.entry.position == position + 1, "delivery out of order")
        position += Int64(batch.count)
        mark = batch.last?.entry.mark
        for (connection, delivery) in deliveries { sessions.connection(connection)?.send(delivery) }
        tellFollowed()
    }

    private func addItems(
        for entry: LogEntry, except origin: SessionAddress?, to deliveries: inout [UInt64: LinkDelivery]
    ) {
        guard !sessions.isEmpty, let cache = threads[entry.thread] else { return }
        var receivers: [UInt64: [UInt64]] = [:]
        cache.forEachReader(of: entry) { user in
            for address in sessions.of(user) where address != origin {
                receivers[address.connection, default: []].append(address.session)
            }
        }
        guard !receivers.isEmpty else { return }
        let linkEntry = LinkEntry(entry)
        for (connection, numbers) in receivers {
            var item = LinkDelivery.Item()
            item.entry = linkEntry
            item.sessions = numbers
            deliveries[connection, default: LinkDelivery()].items.append(item)
            metrics.delivered.add(numbers.count)
        }
    }

    /// Loads participants not cached yet, for all threads of a batch in one query.
    func loadThreads(of entries: [LogEntry], evenWithoutSessions: Bool = false) async throws {
        if threads.count > Self.cachedThreads { threads.removeAll() }
        guard evenWithoutSessions || !sessions.isEmpty else { return }
        var missing: Set<MessageThread.ID> = []
        for entry in entries where entry.thread.rawValue != 0 && threads[entry.thread]?.isStale != false {
            missing.insert(entry.thread)
        }
        guard !missing.isEmpty else { return }
        // In this order: who comes back in between is then found in both, and not in neither.
        let participants = try await store.participants(of: Array(missing))
        let oldest = min(tail.first?.position ?? .max, position + 1)
        let earlier = try await store.earlierStays(in: Array(missing), since: oldest)
        for thread in missing {
            let authors = try await store.recentAuthors(of: thread, limit: ThreadCache.authorsKept)
            threads[thread] = ThreadCache(
                participants[thread] ?? [], earlier: earlier[thread] ?? [], recentAuthors: authors)
        }
    }

    private func obey(_ control: ControlEntry) {
        let ended: [LiveSession]
        switch control {
        case .sessionRevoked(let session):
            sessionDirectory.forget(session: session)
            ended = sessions.all.filter { $0.record?.id == session }
        case .userDisabled(let user):
            sessionDirectory.forget(user: user)
            ended = sessions.all.filter { $0.record?.user.id == user }
        }
        for session in ended {
            sessions.remove(session.address)
            session.close()
            var frame = LinkSessionEnded()
            frame.sessions = [session.address.session]
            frame.code = Refusal.Code.unauthenticated.rawValue
            var message = LinkFrame()
            message.sessionEnded = frame
            session.connection.send(frame: message)
        }
    }
}
