import Domain
import Failpoints
import SQLDatabase

extension Store {
    /// The append on SQLite: the same checks in the same order as `asm_append`, inside one `BEGIN IMMEDIATE`.
    func appendOnSQLite(
        _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
    ) async throws -> AppendResult {
        try await database.write { session in
            var log = try LogWriter(customer: customer, fence: fence, session: session)
            let outcomes = try batch.messages.map { try log.append($0) }
            let receipts = try log.append(batch.receipts)
            try log.finish()
            return AppendResult(outcomes: outcomes, receiptEntries: receipts)
        }
    }
}

/// A customer's log, locked for the length of one transaction: gives out positions and numbers.
///
/// On PostgreSQL it serves the rare changes (`Changes.swift`); messages go through `asm_append` there.
struct LogWriter {
    let customer: Customer.ID
    let session: any SQLSession
    let now: Int64
    private(set) var head: LogPosition
    private let oldHead: LogPosition
    private var threads: [MessageThread.ID: ThreadState] = [:]
    private var accepted: Set<RequestKey> = []

    struct ThreadState {
        var lastNumber: EntryNumber
        var lastShown: LogPosition
        var lastPosition: LogPosition
        let closed: Bool
        var changed = false
    }

    private struct RequestKey: Hashable {
        let author: User.ID
        let clientID: ClientID
    }

    /// - Parameter locks: whether the rows it starts from must be locked; SQLite has locked the whole file by then.
    init(customer: Customer.ID, fence: ServerFence?, session: any SQLSession, locks: Bool = false) throws {
        self.customer = customer
        self.session = session
        if let fence {
            let found = try session.run(
                """
                SELECT 1 FROM ha_slot
                WHERE slot = \(fence.slot) AND server_id = \(fence.server) AND token = \(fence.token)
                """ + (locks ? " FOR SHARE" : ""))
            guard !found.isEmpty else { throw StoreError.superseded }
        }
        let row = try session.run(
            "SELECT head FROM log_head WHERE customer_id = \(customer)" + (locks ? " FOR UPDATE" : "")
        ).first
        guard let row else { throw StoreError.noSuchCustomer("\(customer)") }
        head = try row.int(0)
        oldHead = head
        now = try session.run("SELECT \(.now)")[0].int(0)
    }

    mutating func append(_ message: NewMessage) throws -> AppendOutcome {
        let key = RequestKey(author: message.author, clientID: message.clientID)
        if accepted.contains(key) { return .failure(.repeatedInBatch) }
        if let old = try replay(author: message.author, clientID: message.clientID, hash: message.hash) {
            return old
        }
        guard var state = try state(of: message.thread) else { return .failure(.notFound) }
        guard let reader = try participant(message.author, in: message.thread) else {
            return .failure(.notFound)
        }
        guard !state.closed else { return .failure(.threadClosed) }

        head += 1
        let readBefore = state.lastNumber
        state.lastNumber += 1
        state.show(at: head)
        threads[message.thread] = state
        accepted.insert(key)
        try session.run(
            """
            INSERT INTO entry (customer_id, position, thread_id, number, author_id, device_id, at, body_hash,
                               kind, priority, client_id, body)
            VALUES (\(customer), \(head), \(message.thread), \(state.lastNumber), \(message.author),
                    \(message.device), \(now), \(message.hash), 1, \(message.priority.rawValue),
                    \(message.clientID), \(Array(message.text.utf8)))
            """)
        if reader.read == readBefore { try markOwn(state.lastNumber, in: message.thread, by: message.author) }
        return .success(acceptance(of: state))
    }

    /// Merges the receipts of each thread into one entry, for those that move a cursor forward.
    mutating func append(_ receipts: [NewReceipt]) throws -> [LogEntry] {
        var moved: [MessageThread.ID: [Receipt]] = [:]
        for receipt in receipts {
            guard let state = try state(of: receipt.thread),
                let old = try participant(receipt.user, in: receipt.thread)
            else { continue }
            let delivered = max(old.delivered, min(max(receipt.delivered, receipt.read), state.lastNumber))
            let read = max(old.read, min(receipt.read, state.lastNumber))
            guard delivered > old.delivered || read > old.read else { continue }
            try session.run(
                """
                UPDATE participant SET delivered_number = \(delivered), read_number = \(read)
                WHERE thread_id = \(receipt.thread) AND user_id = \(receipt.user)
                """)
            let merged = Receipt(user: receipt.user, delivered: delivered, read: read)
            moved[receipt.thread, default: []].removeAll { $0.user == receipt.user }
            moved[receipt.thread, default: []].append(merged)
        }
        return try moved.sorted { $0.key < $1.key }.map { thread, receipts in
            try append(.receipts(receipts.sorted { $0.user < $1.user }), in: thread)
        }
    }

    /// Writes one entry that is no message: the head, the thread's cursors and the row.
    @discardableResult
    mutating func append(
        _ content: EntryContent, in thread: MessageThread.ID, author: User.ID? = nil,
        device: Device.ID? = nil,
        clientID: ClientID? = nil, hash: Int64 = 0, shown: Bool = false
    ) throws -> LogEntry {
        head += 1
        var number: EntryNumber?
        if var state = try state(of: thread) {
            if shown {
                state.lastNumber += 1
                state.show(at: head)
                number = state.lastNumber
            }
            state.lastPosition = head
            state.changed = true
            threads[thread] = state
        }
        let stored = StoredContent.encode(content)
        try session.run(
            """
            INSERT INTO entry (customer_id, position, thread_id, number, author_id, device_id, at, body_hash,
                               kind, client_id, body)
            VALUES (\(customer), \(head), \(thread), \(number), \(author), \(device), \(now), \(hash),
                    \(stored.kind), \(clientID), \(Array(stored.body.utf8)))
            """)
        if let number, let author { try markOwn(number, in: thread, by: author) }
        return LogEntry(
            position: head, thread: thread, number: number, author: author, device: device,
            clientID: clientID,
            at: Timestamp(microseconds: now), content: content)
    }

    /// What one writes oneself is not unread, if everything before it was read.
    private func markOwn(_ number: EntryNumber, in thread: MessageThread.ID, by author: User.ID) throws {
        try session.run(
            """
            UPDATE participant SET read_number = \(number), delivered_number = \(number)
            WHERE thread_id = \(thread) AND user_id = \(author) AND read_number = \(number - 1)
            """)
    }

    /// Writes the heads of the threads and of the log; the last step of every transaction.
    func finish() throws {
        try Failpoint.reach(.afterInsert, throwing: SQLError.unavailable("a failpoint"))
        for (thread, state) in threads where state.changed {
            try session.run(
                """
                UPDATE thread SET last_number = \(state.lastNumber), last_position = \(state.lastPosition),
                    last_shown_position = \(state.lastShown)
                WHERE id = \(thread)
                """)
        }
        if head > oldHead {
            try session.run("UPDATE log_head SET head = \(head) WHERE customer_id = \(customer)")
        }
        try Failpoint.reach(.beforeCommit, throwing: SQLError.unavailable("a failpoint"))
    }
}

extension LogWriter.ThreadState {
    fileprivate mutating func show(at position: LogPosition) {
        lastShown = position
        lastPosition = position
        changed = true
    }
}

extension LogWriter {
    /// The answer given before to the same request; it writes, so that on PostgreSQL its commit waits for replication.
    func replay(author: User.ID, clientID: ClientID, hash: Int64) throws -> AppendOutcome? {
        let row = try session.run(
            """
            SELECT position, number, at, body_hash FROM entry WHERE author_id = \(author) AND client_id = \(clientID)
            """
        ).first
        guard let row else { return nil }
        guard try row.int(3) == hash else { return .failure(.keyReused) }
        let position = try row.int(0)
        try session.run(
            "UPDATE entry SET replays = replays + 1 WHERE customer_id = \(customer) AND position = \(position)"
        )
        return .success(
            Acceptance(
                position: position, number: try row.intOrNil(1) ?? 0,
                at: Timestamp(microseconds: try row.int(2)),
                replayed: true))
    }

    mutating func state(of thread: MessageThread.ID) throws -> ThreadState? {
        if let known = threads[thread] { return known }
        let row = try session.run(
            """
            SELECT last_number, last_shown_position, last_position, closed FROM thread
            WHERE id = \(thread) AND customer_id = \(customer)
            """
        ).first
        guard let row else { return nil }
        let state = ThreadState(
            lastNumber: try row.int(0), lastShown: try row.int(1), lastPosition: try row.int(2),
            closed: try row.bool(3))
        threads[thread] = state
        return state
    }

    /// The user's cursors in the thread; nil when the user is not in it (any more).
    func participant(
        _ user: User.ID, in thread: MessageThread.ID
    ) throws -> (delivered: EntryNumber, read: EntryNumber)? {
        let row = try session.run(
            """
            SELECT delivered_number, read_number FROM participant
            WHERE thread_id = \(thread) AND user_id = \(user) AND left_number IS NULL
            """
        ).first
        return try row.map { (try $0.int(0), try $0.int(1)) }
    }

    func acceptance(of state: ThreadState) -> Acceptance {
        Acceptance(
            position: state.lastShown, number: state.lastNumber, at: Timestamp(microseconds: now),
            replayed: false)
    }
}
