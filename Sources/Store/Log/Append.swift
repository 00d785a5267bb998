package import Domain
import Failpoints
import SQLDatabase

extension Store {
    /// Appends a batch to one customer's log: checks, order and idempotency in one atomic step.
    ///
    /// Returning means that the batch is durable; a thrown `SQLError.unknownOutcome` that it may be.
    /// - Throws: `StoreError.superseded` when the fence is void, `SQLError` for the database's failures.
    package func append(
        _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
    ) async throws -> AppendResult {
        try await Failpoint.reach(.beforeBegin, throwing: SQLError.unavailable("a failpoint"))
        #if FAILPOINTS
            let result = try await appendMutated(batch, for: customer, fence: fence)
        #else
            let result = try await appendOnEngine(batch, for: customer, fence: fence)
        #endif
        try await Failpoint.reach(.afterCommit, throwing: SQLError.unknownOutcome("a failpoint"))
        return result
    }

    func appendOnEngine(
        _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
    ) async throws -> AppendResult {
        switch database.engine {
        case .postgres: try await appendOnPostgres(batch, for: customer, fence: fence)
        case .sqlite: try await appendOnSQLite(batch, for: customer, fence: fence)
        }
    }

    private func appendOnPostgres(
        _ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence
    ) async throws -> AppendResult {
        try appended(
            try await database.query(appendStatement(batch, for: customer, fence: fence)), to: customer)
    }

    func appendStatement(_ batch: AppendBatch, for customer: Customer.ID, fence: ServerFence) -> SQL {
        let messages = batch.messages
        let receipts = batch.receipts
        return """
            SELECT o_ord, o_outcome, o_position, o_number, o_at, o_thread, o_body FROM asm_append(
                \(fence.server), \(fence.slot), \(fence.token), \(customer),
                \(messages.map(\.clientID.bytes)), \(messages.map(\.thread.rawValue)),
                \(messages.map(\.author.rawValue)), \(messages.map(\.device.rawValue)),
                \(messages.map { Int64($0.priority.rawValue) }), \(messages.map(\.hash)),
                \(SQLValue.textBlobs(messages.map(\.text))),
                \(receipts.map(\.thread.rawValue)), \(receipts.map(\.user.rawValue)),
                \(receipts.map(\.delivered)), \(receipts.map(\.read)))
            """
    }

    /// What the rows of the statement say.
    func appended(_ rows: SQLResult, to customer: Customer.ID) throws -> AppendResult {
        var outcomes: [AppendOutcome] = []
        outcomes.reserveCapacity(rows.count)
        var receiptEntries: [LogEntry] = []
        for row in rows {
            switch try row.int(1) {
            case -1: throw StoreError.superseded
            case -2: throw StoreError.noSuchCustomer("\(customer)")
            default: break
            }
            if try row.int(0) == 0 {
                receiptEntries.append(
                    receiptEntry(
                        at: try row.int(2), in: try row.id(5), time: try row.int(4),
                        body: try row.text(ofBlob: 6)))
            } else {
                outcomes.append(try outcome(row))
            }
        }
        return AppendResult(outcomes: outcomes, receiptEntries: receiptEntries)
    }

    private func outcome(_ row: SQLRow) throws -> AppendOutcome {
        let code = Int(try row.int(1))
        guard code < 2 else { return .failure(AppendRefusal(rawValue: code) ?? .notFound) }
        return .success(
            Acceptance(
                position: try row.int(2), number: try row.intOrNil(3) ?? 0,
                at: Timestamp(microseconds: try row.int(4)), replayed: code == 1))
    }

    func receiptEntry(
        at position: LogPosition, in thread: MessageThread.ID, time: Int64, body: String
    ) -> LogEntry {
        LogEntry(
            position: position, thread: thread, number: nil, author: nil, device: nil, clientID: nil,
            at: Timestamp(microseconds: time),
            content: StoredContent.decode(kind: StoredContent.Kind.receipts.rawValue, priority: 0, body: body)
        )
    }
}
