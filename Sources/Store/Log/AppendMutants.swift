#if FAILPOINTS
    package import Domain
    import Failpoints
    import Glibc
    import SQLDatabase

    /// Appends as one of the mutants does, each with its own mistake (PostgreSQL only); soundly where none is at work.
    extension Store {
        /// Longer than a commit takes, so that commits overtake each other.
        private static let longestHeldPlaceMilliseconds = 40
        /// How long a promise precedes its commit.
        private static let earlyAnswerMicroseconds: UInt32 = 100_000

        func appendMutated(
            _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
        ) async throws -> AppendResult {
            switch Mutant.current {
            case .noDedupe:
                var forgetful = batch
                forgetful.messages = batch.messages.map { $0.underAnotherID() }
                return try await appendOnEngine(forgetful, for: customer, fence: fence)
            case .leaderWithoutFence:
                return try await appendOnEngine(batch, for: customer, fence: try await whatever(fence))
            case .replayWithoutWrite:
                return try await appendUnlessRead(batch, for: customer, fence: fence)
            case .sequenceCursor:
                return try await appendBySequence(batch, for: customer, fence: fence)
            case .ackBeforeCommit, .replicaReads, nil:
                return try await appendOnEngine(batch, for: customer, fence: fence)
            }
        }

        /// `ack-before-commit`: tells the outcome first, and commits a moment later.
        package func appendAnsweringEarly(
            _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence,
            answer: @escaping @Sendable (AppendResult) -> Void
        ) async throws {
            try await database.write { [self] session in
                answer(
                    try appended(
                        try session.run(appendStatement(batch, for: customer, fence: fence)), to: customer))
                usleep(Self.earlyAnswerMicroseconds)
                try Failpoint.reach(.beforeCommit, throwing: SQLError.unavailable("a failpoint"))
            }
        }

        /// `leader-without-fence`: whoever is the server now, its proof is taken as one's own.
        private func whatever(_ fence: ServerFence) async throws -> ServerFence {
            let holder = try await database.query(
                "SELECT server_id, token FROM ha_slot WHERE slot = \(fence.slot)"
            ).first
            guard let holder, let server = try holder.intOrNil(0) else { return fence }
            return ServerFence(server: server, slot: fence.slot, token: try holder.int(1))
        }

        /// `replay-without-write`: what is there already is answered by reading.
        private func appendUnlessRead(
            _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
        ) async throws -> AppendResult {
            var known: [ClientID: Acceptance] = [:]
            let rows = try await database.query(
                """
                SELECT client_id, position, number, at FROM entry
                WHERE customer_id = \(customer) AND client_id = ANY(\(batch.messages.map(\.clientID.bytes)))
                """)
            for row in rows {
                guard let id = ClientID(bytes: try row.bytes(0)) else { continue }
                known[id] = Acceptance(
                    position: try row.int(1), number: try row.intOrNil(2) ?? 0,
                    at: Timestamp(microseconds: try row.int(3)), replayed: true)
            }
            var rest = batch
            rest.messages.removeAll { known[$0.clientID] != nil }
            guard !rest.messages.isEmpty || !rest.receipts.isEmpty else {
                return AppendResult(
                    outcomes: batch.messages.compactMap { known[$0.clientID].map { .success($0) } },
                    receiptEntries: [])
            }
            let appended = try await appendOnEngine(rest, for: customer, fence: fence)
            var outcomes = appended.outcomes.makeIterator()
            return AppendResult(
                outcomes: batch.messages.compactMap { message in
                    known[message.clientID].map { .success($0) } ?? outcomes.next()
                },
                receiptEntries: appended.receiptEntries)
        }

        /// `sequence-cursor`: takes places as from a sequence, and writes the entries a moment later.
        private func appendBySequence(
            _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
        ) async throws -> AppendResult {
            let receipts = try await appendOnEngine(
                AppendBatch(receipts: batch.receipts), for: customer, fence: fence)
            guard !batch.messages.isEmpty else { return receipts }
            let row = try await database.query(
                """
                UPDATE log_head SET head = head + \(Int64(batch.messages.count))
                WHERE customer_id = \(customer) RETURNING head
                """)[0]
            let first = try row.int(0) - Int64(batch.messages.count) + 1
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...Self.longestHeldPlaceMilliseconds)))
            let outcomes = try await database.write { session in
                try batch.messages.enumerated().map { index, message -> AppendOutcome in
                    .success(try session.insert(message, of: customer, at: first + Int64(index)))
                }
            }
            return AppendResult(outcomes: outcomes, receiptEntries: receipts.receiptEntries)
        }
    }

    extension SQLSession {
        fileprivate func insert(
            _ message: NewMessage, of customer: Customer.ID, at position: LogPosition
        ) throws -> Acceptance {
            let thread = try run(
                """
                UPDATE thread SET last_number = last_number + 1,
                    last_position = greatest(last_position, \(position)),
                    last_shown_position = greatest(last_shown_position, \(position))
                WHERE id = \(message.thread) RETURNING last_number, \(.now)
                """)[0]
            let (number, now) = (try thread.int(0), try thread.int(1))
            try run(
                """
                INSERT INTO entry (customer_id, position, thread_id, number, author_id, device_id, at, body_hash,
                                   kind, priority, client_id, body)
                VALUES (\(customer), \(position), \(message.thread), \(number), \(message.author),
                        \(message.device), \(now), \(message.hash), 1, \(message.priority.rawValue),
                        \(message.clientID), \(Array(message.text.utf8)))
                """)
            return Acceptance(
                position: position, number: number, at: Timestamp(microseconds: now), replayed: false)
        }
    }

    extension NewMessage {
        /// `no-dedupe`: nothing recognises its repetition.
        fileprivate func underAnotherID() -> NewMessage {
            NewMessage(
                thread: thread, author: author, device: device, clientID: .random(), priority: priority,
                text: text)
        }
    }
#endif
