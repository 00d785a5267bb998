package import Domain
import Failpoints
import SQLDatabase

/// A rare change to a thread: an entry like a message, but written by an ordinary short transaction.
package enum ThreadChange: Sendable {
    case create(MessageThread.ID, subject: String, participants: [User.ID])
    case addParticipants(MessageThread.ID, [User.ID])
    case leave(MessageThread.ID)
    case recall(MessageThread.ID, EntryNumber)
}

/// Who asks for a change, and under which client id.
package struct ChangeAuthor: Sendable {
    package let customer: Customer.ID
    package let user: User.ID
    package let device: Device.ID
    package let clientID: ClientID

    package init(customer: Customer.ID, user: User.ID, device: Device.ID, clientID: ClientID) {
        self.customer = customer
        self.user = user
        self.device = device
        self.clientID = clientID
    }
}

/// What a change did: the promise, the thread it concerned, and the entry unless it had been written before.
package struct ChangeResult: Sendable {
    package let acceptance: Acceptance
    package let thread: MessageThread.ID
}

extension Store {
    /// Makes one change, or answers as before when it was made already under the same client id.
    /// Adding people who are all there already writes nothing: the answer is that of the entry that let the last of them in.
    /// Nor does recalling one's own message once more, under another client id: the answer is that of the first time.
    /// - Throws: `AppendRefusal`, `DraftRejection`, `StoreError.superseded`, `SQLError`.
    package func change(
        _ change: ThreadChange, by author: ChangeAuthor, fence: ServerFence
    ) async throws -> ChangeResult {
        let locks = database.engine == .postgres
        try await Failpoint.reach(.beforeBegin, throwing: SQLError.unavailable("a failpoint"))
        let result = try await database.write { session in
            var log = try LogWriter(customer: author.customer, fence: fence, session: session, locks: locks)
            let hash = change.hash
            if let old = try log.replay(author: author.user, clientID: author.clientID, hash: hash) {
                let acceptance = try old.get()
                let row = try session.run(
                    """
                    SELECT thread_id FROM entry
                    WHERE customer_id = \(author.customer) AND position = \(acceptance.position)
                    """)[0]
                return ChangeResult(acceptance: acceptance, thread: try row.id(0))
            }
            if case .addParticipants(let thread, let users) = change,
                let before = try log.joined(users, thread, by: author.user)
            {
                return ChangeResult(acceptance: before, thread: thread)
            }
            if case .recall(let thread, let number) = change,
                let before = try log.recalled(number, thread, by: author.user)
            {
                return ChangeResult(acceptance: before, thread: thread)
            }
            let entry = try log.apply(change, by: author, hash: hash)
            try log.finish()
            return ChangeResult(
                acceptance: Acceptance(
                    position: entry.position, number: entry.number ?? 0, at: entry.at, replayed: false),
                thread: entry.thread)
        }
        try await Failpoint.reach(.afterCommit, throwing: SQLError.unknownOutcome("a failpoint"))
        return result
    }
}

extension ThreadChange {
    /// The fingerprint of what is asked for; the new thread's id is the server's choice and no part of it.
    fileprivate var hash: Int64 {
        switch self {
        case .create(_, let subject, let participants):
            BodyHash.of(
                kind: .created, thread: .init(rawValue: 0), priority: .normal,
                body: participants.unique.map(\.description).joined(separator: " ") + "\n" + subject)
        case .addParticipants(let thread, let users):
            BodyHash.of(
                kind: .added, thread: thread, priority: .normal,
                body: users.map(\.description).joined(separator: " "))
        case .leave(let thread): BodyHash.of(kind: .left, thread: thread, priority: .normal, body: "")
        case .recall(let thread, let number):
            BodyHash.of(kind: .recalled, thread: thread, priority: .normal, body: "\(number)")
        }
    }
}

extension LogWriter {
    fileprivate mutating func apply(
        _ change: ThreadChange, by author: ChangeAuthor, hash: Int64
    ) throws -> LogEntry {
        switch change {
        case .create(let thread, let subject, let participants):
            let users = (participants.contains(author.user) ? participants : [author.user] + participants)
                .unique
            try MessageLimits().check(participants: users.count)
            try checkUsers(users)
            try session.run(
                """
                INSERT INTO thread (id, customer_id, subject, created_at)
                VALUES (\(thread), \(customer), \(subject), \(now))
                """)
            let entry = try append(
                .created(subject: Sealed(subject), participants: users), in: thread, author: author.user,
                device: author.device, clientID: author.clientID, hash: hash, shown: true)
            try join(users, thread, at: 1, author: author.user)
            return entry

        case .addParticipants(let thread, let users):
            try requireMember(author.user, of: thread)
            try checkUsers(users)
            let newcomers = try users.unique.filter { try participant($0, in: thread) == nil }
            try MessageLimits().check(participants: try presentCount(in: thread) + newcomers.count)
            let entry = try append(
                .added(newcomers), in: thread, author: author.user, device: author.device,
                clientID: author.clientID, hash: hash, shown: true)
            try join(newcomers, thread, at: entry.number ?? 0, author: author.user)
            return entry

        case .leave(let thread):
            try requireMember(author.user, of: thread)
            let entry = try append(
                .left(author.user), in: thread, author: author.user, device: author.device,
                clientID: author.clientID, hash: hash, shown: true)
            try session.run(
                """
                UPDATE participant SET left_number = \(entry.number)
                WHERE thread_id = \(thread) AND user_id = \(author.user)
                """)
            return entry

        case .recall(let thread, let number):
            return try recall(number, in: thread, by: author, hash: hash)
        }
    }

    /// When all of them are in the thread: the place of the entry that let the last of them in.
    fileprivate mutating func joined(
        _ users: [User.ID], _ thread: MessageThread.ID, by author: User.ID
    ) throws -> Acceptance? {
        try requireMember(author, of: thread)
        guard !users.isEmpty, try users.allSatisfy({ try participant($0, in: thread) != nil }) else {
            return nil
        }
        let row = try session.run(
            """
            SELECT e.position, e.number, e.at FROM entry e
            WHERE e.thread_id = \(thread) AND e.number =
                (SELECT max(joined_number) FROM participant
                 WHERE thread_id = \(thread) AND user_id \(in: users.map(\.rawValue)))
            ORDER BY e.position LIMIT 1
            """
        ).first
        return try row.map { row in
            Acceptance(
                position: try row.int(0), number: try row.int(1), at: Timestamp(microseconds: try row.int(2)),
                replayed: true)
        }
    }

    private func presentCount(in thread: MessageThread.ID) throws -> Int {
        Int(
            try session.run(
                "SELECT count(*) FROM participant WHERE thread_id = \(thread) AND left_number IS NULL"
            )[0].int(0))
    }

    private mutating func recall(
        _ number: EntryNumber, in thread: MessageThread.ID, by author: ChangeAuthor, hash: Int64
    ) throws -> LogEntry {
        try requireMember(author.user, of: thread)
        let row = try session.run(
            """
            SELECT position, author_id, kind FROM entry
            WHERE thread_id = \(thread) AND number = \(number) ORDER BY position DESC LIMIT 1
            """
        ).first
        let kinds = [StoredContent.Kind.message, .recalledMessage].map { Int64($0.rawValue) }
        guard let row, kinds.contains(try row.int(2)) else { throw AppendRefusal.notFound }
        guard try row.int(1) == author.user.rawValue else { throw AppendRefusal.notYours }
        let empty: [UInt8] = []
        try session.run(
            """
            UPDATE entry SET kind = \(StoredContent.Kind.recalledMessage.rawValue), body = \(empty)
            WHERE customer_id = \(customer) AND position = \(try row.int(0))
            """)
        return try append(
            .recalled(number: number), in: thread, author: author.user, device: author.device,
            clientID: author.clientID, hash: hash, shown: true)
    }

    /// Where the author has recalled this message before: the place of the entry that says so. It writes as a replay does.
    fileprivate mutating func recalled(
        _ number: EntryNumber, _ thread: MessageThread.ID, by author: User.ID
    ) throws -> Acceptance? {
        try requireMember(author, of: thread)
        let message = try session.run(
            """
            SELECT position, author_id, kind FROM entry
            WHERE thread_id = \(thread) AND number = \(number) ORDER BY position DESC LIMIT 1
            """
        ).first
        guard let message, try message.int(1) == author.rawValue,
            try message.int(2) == Int64(StoredContent.Kind.recalledMessage.rawValue)
        else { return nil }
        let stored = StoredContent.encode(.recalled(number: number))
        let row = try session.run(
            """
            SELECT position, number, at FROM entry
            WHERE thread_id = \(thread) AND position > \(try message.int(0)) AND kind = \(stored.kind)
                AND body = \(Array(stored.body.utf8))
            ORDER BY position LIMIT 1
            """
        ).first
        guard let row else { return nil }
        let position = try row.int(0)
        try session.run(
            "UPDATE entry SET replays = replays + 1 WHERE customer_id = \(customer) AND position = \(position)"
        )
        return Acceptance(
            position: position, number: try row.int(1), at: Timestamp(microseconds: try row.int(2)),
            replayed: true)
    }

    /// Lets users in from `number` on. What was said while someone was away is not theirs, and so not unread: the marks pass
    /// it where all that the person could see was read, and stay where they were otherwise.
    private func join(
        _ users: [User.ID], _ thread: MessageThread.ID, at number: EntryNumber, author: User.ID
    ) throws {
        for user in users {
            let read = user == author ? number : number - 1
            try keepStay(of: user, in: thread)
            try session.run(
                """
                INSERT INTO participant (thread_id, user_id, joined_number, delivered_number, read_number)
                VALUES (\(thread), \(user), \(number), \(read), \(read))
                ON CONFLICT (thread_id, user_id) DO UPDATE
                SET joined_number = excluded.joined_number, left_number = NULL,
                    delivered_number = CASE WHEN participant.delivered_number >= participant.left_number
                        THEN excluded.delivered_number ELSE participant.delivered_number END,
                    read_number = CASE WHEN participant.read_number >= participant.left_number
                        THEN excluded.read_number ELSE participant.read_number END
                """)
        }
    }

    private mutating func requireMember(_ user: User.ID, of thread: MessageThread.ID) throws {
        guard let state = try state(of: thread), try participant(user, in: thread) != nil else {
            throw AppendRefusal.notFound
        }
        guard !state.closed else { throw AppendRefusal.threadClosed }
    }

    private func checkUsers(_ users: [User.ID]) throws {
        let found = try session.run(
            """
            SELECT count(*) FROM app_user
            WHERE customer_id = \(customer) AND disabled = 0 AND id \(in: users.map(\.rawValue))
            """
        )[0].int(0)
        guard found == Int64(Set(users).count) else { throw AppendRefusal.noSuchUser }
    }
}

extension [User.ID] {
    /// Each once, in the order in which they are named first.
    fileprivate var unique: [User.ID] {
        var seen: Set<User.ID> = []
        return filter { seen.insert($0).inserted }
    }
}
