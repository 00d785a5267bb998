import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Unread urgent messages", .serialized)
struct UnreadUrgentTests {
    @Test(
        "Counted are others' urgent messages after the last read one, in the inbox as in the details",
        arguments: TestEngine.allCases)
    func counted(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob, test.carol)
            let other = try await test.thread(test.alice, test.bob)
            try await test.warn("2", in: thread, by: test.alice)
            try await test.say("3", in: thread, by: test.alice)
            try await test.warn("4", in: thread, by: test.carol)
            try await test.warn("5", in: thread, by: test.bob)
            try await test.say("routine", in: other, by: test.alice)

            #expect(try await test.urgent(thread, by: test.bob) == [2, 2])
            #expect(try await test.urgent(thread, by: test.carol) == [2, 2])
            #expect(try await test.urgent(thread, by: test.alice) == [2, 4])
            #expect(try await test.urgent(other, by: test.bob) == [0, nil])

            try await test.mark(thread, by: test.bob, delivered: 5, read: 1)
            #expect(try await test.urgent(thread, by: test.bob) == [2, 2])
            try await test.mark(thread, by: test.bob, read: 2)
            #expect(try await test.urgent(thread, by: test.bob) == [1, 4])
            try await test.mark(thread, by: test.bob, read: 4)
            #expect(try await test.urgent(thread, by: test.bob) == [0, nil])
        }
    }

    @Test("One that was taken back counts no more", arguments: TestEngine.allCases)
    func recalled(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            for number in 2...4 { try await test.warn("\(number)", in: thread, by: test.alice) }

            try await test.change(.recall(thread, 2), by: test.alice)
            #expect(try await test.urgent(thread, by: test.bob) == [2, 3])
            try await test.change(.recall(thread, 4), by: test.alice)
            #expect(try await test.urgent(thread, by: test.bob) == [1, 3])
            try await test.change(.recall(thread, 3), by: test.alice)
            #expect(try await test.urgent(thread, by: test.bob) == [0, nil])
            #expect(try await test.view(thread, by: test.bob).unread == 7)
        }
    }

    @Test("Who leaves and who is added count what they can see", arguments: TestEngine.allCases)
    func membership(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.warn("2", in: thread, by: test.alice)
            try await test.change(.leave(thread), by: test.bob)
            try await test.warn("4", in: thread, by: test.alice)
            let left = try await test.view(thread, by: test.bob)
            #expect([left.urgent.first, EntryNumber(left.urgent.count)] == [2, 1])

            try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)
            #expect(try await test.urgent(thread, by: test.bob) == [1, 2])
            try await test.warn("6", in: thread, by: test.alice)
            #expect(try await test.urgent(thread, by: test.bob) == [2, 2])
            try await test.mark(thread, by: test.bob, read: 2)
            #expect(try await test.urgent(thread, by: test.bob) == [1, 6])
        }
    }

    @Test(
        "At most a hundred are counted, and a user's own do not hide another's",
        arguments: TestEngine.allCases)
    func bounded(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.append(
                (0..<150).map { test.message("\($0)", in: thread, by: test.bob, priority: .urgent) })
            #expect(try await test.urgent(thread, by: test.bob) == [0, nil])
            try await test.append(
                (0..<150).map { test.message("\($0)", in: thread, by: test.alice, priority: .urgent) })

            #expect(try await test.urgent(thread, by: test.bob) == [Int64(Store.urgentCounted), 152])
            #expect(try await test.urgent(thread, by: test.alice) == [Int64(Store.urgentCounted), 2])
        }
    }

    @Test(
        "A receipt moves the last position but not the one that orders the inbox, and the details have the last entry",
        arguments: TestEngine.allCases)
    func lastShown(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let said = try await test.say("2", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, read: 2)

            let row = try #require(
                try await test.store.inbox(of: test.bob.id, at: test.customer.id, before: nil, limit: 1)
                    .threads
                    .first)
            let details = try await test.view(thread, by: test.bob)
            for view in [row, details] {
                #expect(view.thread.lastShownPosition == said.position)
                #expect(view.thread.lastPosition == said.position + 1)
                #expect(view.last?.text == "2")
            }
            try await test.change(.leave(thread), by: test.bob)
            #expect(try await test.view(thread, by: test.bob).last == nil)
        }
    }

    @Test(
        "They are found by their own index, whatever the thread holds besides", arguments: TestEngine.allCases
    )
    func index(_ engine: TestEngine) async throws {
        try await withDatabase(on: engine) { database in
            let recorder = RecordingDatabase(database)
            let test = try await StoreUnderTest(recorder)
            let thread = try await test.thread(test.alice, test.bob)
            for start in 0..<8 {
                try await test.append(
                    (0..<500).map { test.message("\(start) \($0)", in: thread, by: test.alice) })
            }
            try await test.warn("urgent", in: thread, by: test.alice)
            recorder.forget()

            #expect(try await test.urgent(thread, by: test.bob) == [1, 4_002])
            let statements = recorder.statements.filter {
                $0.rendered(for: database.engine).text.contains("priority > 0")
            }
            #expect(statements.count == 2)
            // A young table's plans are made without statistics.
            for (index, statement) in (statements + statements).enumerated() {
                if index == statements.count { try await database.query("ANALYZE entry") }
                let explain: SQL = database.engine == .postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN "
                let column = database.engine == .postgres ? 0 : 3
                let plan = try await database.query(explain + statement).map { try $0.string(column) }
                #expect(plan.contains { $0.contains("entry_urgent") }, "\(plan.joined(separator: "\n"))")
            }
        }
    }
}

extension StoreUnderTest {
    /// Appends one urgent message.
    @discardableResult
    fileprivate func warn(_ text: String, in thread: MessageThread.ID, by user: User) async throws
        -> Acceptance
    {
        try await append([message(text, in: thread, by: user, priority: .urgent)]).outcomes[0].get()
    }

    /// How many there are and the number of the first one, as the inbox says; nil, where the details say otherwise.
    fileprivate func urgent(_ thread: MessageThread.ID, by user: User) async throws -> [Int64?]? {
        let page = try await store.inbox(of: user.id, at: customer.id, before: nil, limit: 10)
        let row = page.threads.first { $0.thread.id == thread }
        guard let row, try await view(thread, by: user).urgent == row.urgent else { return nil }
        return [Int64(row.urgent.count), row.urgent.first]
    }
}
