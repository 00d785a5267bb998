import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Query plans on PostgreSQL")
struct StorePlanTests {
    private static let messages = 6_000
    private static let sessions = 5_000

    @Test("Nothing that a request or a follower asks scans the whole log")
    func indexes() async throws {
        try await withDatabase(on: .postgres) { database in
            let recorder = RecordingDatabase(database)
            let test = try await StoreUnderTest(recorder)
            let thread = try await fill(test, database)
            let head = try await test.head
            let (alice, customer) = (test.alice.id, test.customer.id)
            recorder.forget()

            _ = try await test.store.entries(of: customer, after: head - 50, limit: 1_000)
            _ = try await test.store.entries(
                for: alice, of: customer, after: head - 500, upTo: head, limit: 2_001)
            _ = try await test.history(thread, by: test.alice, .before(nil))
            _ = try await test.history(thread, by: test.alice, .after(20))
            _ = try await test.store.session(
                tokenHash: [UInt8](repeating: 7, count: 32), policy: SessionPolicy())
            _ = try await test.store.head(of: customer)
            _ = try await test.store.markedHead(of: customer)
            _ = try await test.store.heads(of: [customer: head, .random(): 1, .random(): 2])
            _ = try await test.store.inbox(of: alice, at: customer, before: nil, limit: 50)
            _ = try await test.store.message(30, in: thread, for: alice, at: customer)
            _ = try await test.store.participants(of: [thread])
            _ = try await test.store.recentAuthors(of: thread, limit: 64)
            try await test.change(.recall(thread, 40), by: test.alice)

            #expect(recorder.statements.count > 15)
            for statement in recorder.statements {
                let plan = try await database.query("EXPLAIN " + statement, on: .reads).map {
                    try $0.string(0)
                }
                let scans = plan.contains { line in
                    ["entry", "session", "participant"].contains { line.contains("Seq Scan on \($0)") }
                }
                #expect(!scans, "\(statement.rendered(for: .postgres).text)\n\(plan.joined(separator: "\n"))")
            }
        }
    }

    /// Fifty threads of two or more people, and as many sessions as a small customer has; statistics are up to date.
    private func fill(_ test: StoreUnderTest, _ database: any SQLDatabase) async throws -> MessageThread.ID {
        var threads: [MessageThread.ID] = []
        for index in 0..<50 {
            let other = index % 2 == 0 ? test.alice : test.carol
            threads.append(try await test.thread(other, test.bob))
        }
        for start in stride(from: 0, to: Self.messages, by: 500) {
            try await test.append(
                (start..<start + 500).map {
                    let index = $0 % threads.count
                    let author = index % 2 == 0 ? test.alice : test.bob
                    return test.message("message \($0)", in: threads[index], by: author)
                })
        }
        let record = try await test.store.openSession(
            for: test.alice, customerName: "Acme", device: nil, deviceName: "phone",
            tokenHash: [UInt8](repeating: 7, count: 32), policy: SessionPolicy())
        try await database.query(
            """
            INSERT INTO session (id, customer_id, user_id, device_id, token_hash, created_at, last_used_at, expires_at)
            SELECT n, \(test.customer.id), \(test.alice.id), \(record.device.id), sha256(n::text::bytea),
                \(.now), \(.now), \(Int64.max) FROM generate_series(1, \(Self.sessions)) n
            """)
        try await database.query(
            """
            INSERT INTO participant (thread_id, user_id, joined_number)
            SELECT n, n, 1 FROM generate_series(1, \(Self.sessions)) n
            """)
        for table: SQL in ["entry", "session", "participant", "thread"] {
            try await database.query("ANALYZE " + table)
        }
        return threads[0]
    }
}
