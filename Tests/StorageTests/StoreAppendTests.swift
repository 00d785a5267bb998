import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Appending messages", .serialized)
struct StoreAppendTests {
    @Test("Positions are dense in the log and numbers in each thread", arguments: TestEngine.allCases)
    func dense(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var random = SeededGenerator(seed: 1)
            var threads: [MessageThread.ID] = []
            for _ in 0..<6 { threads.append(try await test.thread(test.alice, test.bob)) }

            for batch in 0..<8 {
                let messages = (0..<40).map { index in
                    test.message(
                        "\(batch).\(index)", in: threads.randomElement(using: &random) ?? threads[0],
                        by: index % 2 == 0 ? test.alice : test.bob)
                }
                let outcomes = try await test.append(messages).outcomes
                let entries = try await test.store.entries(of: test.customer.id, after: 0, limit: 1_000)
                    .suffix(40)
                #expect(try outcomes.map { try $0.get().position } == entries.map(\.position))
                #expect(try outcomes.map { try $0.get().number } == entries.map(\.number))
                #expect(messages.map(\.text) == entries.map(\.text))
            }

            let log = try await test.log()
            #expect(log.map(\.position) == Array(1...LogPosition(326)))
            for thread in threads {
                let numbers = log.filter { $0.thread == thread }.compactMap(\.number)
                #expect(numbers == Array(1...EntryNumber(numbers.count)))
                let view = try await test.view(thread, by: test.alice)
                #expect(view.thread.lastNumber == EntryNumber(numbers.count))
                #expect(view.thread.lastPosition == log.last { $0.thread == thread }?.position)
            }
            #expect(try await test.head == 326)
        }
    }

    @Test("A repeat is answered as before, writes and stores nothing new", arguments: TestEngine.allCases)
    func replay(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("once", in: thread, by: test.alice)
            let first = try await test.append([message]).outcomes[0].get()
            try await test.say("meanwhile", in: thread, by: test.bob)
            let head = try await test.head

            for repeats in 1...3 {
                let again = try await test.append([message]).outcomes[0].get()
                #expect(again.replayed && !first.replayed)
                #expect([again.position, again.number] == [first.position, first.number])
                #expect(again.at == first.at)
                let row = try await test.store.database.query(
                    "SELECT replays FROM entry WHERE position = \(first.position)")
                #expect(try row[0].int(0) == Int64(repeats))
            }
            #expect(try await test.head == head)
            #expect(try await test.log().count { $0.text == "once" } == 1)
        }
    }

    @Test(
        "A client id reused for another text, thread or priority is refused", arguments: TestEngine.allCases)
    func keyReused(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let other = try await test.thread(test.alice, test.bob)
            let id = ClientID.random()
            try await test.say("text", in: thread, by: test.alice, clientID: id)
            let head = try await test.head

            for message in [
                test.message("texT", in: thread, by: test.alice, clientID: id),
                test.message("text", in: other, by: test.alice, clientID: id),
                test.message("text", in: thread, by: test.alice, clientID: id, priority: .urgent),
            ] {
                #expect(try await test.append([message]).outcomes == [.failure(.keyReused)])
            }
            #expect(try await test.head == head)
            // Another author may use the same id by chance: it is theirs.
            #expect(try await test.say("text", in: thread, by: test.bob, clientID: id).replayed == false)
        }
    }

    @Test("Threads that are absent, foreign, left or closed take no message", arguments: TestEngine.allCases)
    func refused(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let without = try await test.thread(test.bob, test.carol)
            let left = try await test.thread(test.alice, test.bob)
            try await test.change(.leave(left), by: test.alice)
            let closed = try await test.thread(test.alice, test.bob)
            try await test.store.database.query("UPDATE thread SET closed = 1 WHERE id = \(closed)")
            let foreign = try await foreignThread(test)
            let good = try await test.thread(test.alice, test.bob)
            let head = try await test.head

            let result = try await test.append(
                [good, without, left, .random(), foreign, closed, good].map {
                    test.message("text", in: $0, by: test.alice)
                })

            #expect(
                result.outcomes.map(\.refusal) == [
                    nil, .notFound, .notFound, .notFound, .notFound, .threadClosed, nil,
                ])
            #expect(try result.outcomes[0].get().position == head + 1)
            #expect(try result.outcomes[6].get().position == head + 2)
            #expect(try await test.head == head + 2)
        }
    }

    /// A thread of another customer, in which even our own user sits by some mistake.
    private func foreignThread(_ test: StoreUnderTest) async throws -> MessageThread.ID {
        let rival = try await test.store.addCustomer(named: "Rival")
        let spy = try await test.store.addUser(
            login: "spy", name: "Spy", passwordHash: Sealed("hash"), to: rival.id)
        let author = ChangeAuthor(
            customer: rival.id, user: spy.id, device: test.device, clientID: .random())
        let thread = try await test.store.change(
            .create(.random(), subject: "", participants: [spy.id]), by: author, fence: test.fence
        ).thread
        try await test.store.database.query(
            """
            INSERT INTO participant (thread_id, user_id, joined_number) VALUES (\(thread), \(test.alice.id), 1)
            """)
        return thread
    }

    @Test("The same id twice in a batch is stored once", arguments: TestEngine.allCases)
    func repeatedInBatch(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("once", in: thread, by: test.alice)

            let outcomes = try await test.append([message, message]).outcomes

            #expect(try outcomes[0].get().number == 2)
            #expect(outcomes[1] == .failure(.repeatedInBatch))
            #expect(try await test.append([message]).outcomes[0].get().replayed)
            #expect(try await test.log().count { $0.text == "once" } == 1)
        }
    }

    @Test("NUL bytes, joined emoji, line ends and 64 KiB come back as sent", arguments: TestEngine.allCases)
    func texts(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let subject = "It's \"quoted\" \\ $1 ? -- 👩🏽‍🚀"
            let thread = try await test.thread(test.alice, test.bob, subject: subject)
            let texts = [
                "a\u{0}b\u{0}", "👩‍👩‍👧‍👦👍🏽🇦🇽", "سلام دنیا", "你好，世界", "e\u{301} ≠ é", "\r\n\t",
                "'; DROP TABLE entry; --", "{1,2}", "\\x00", String(repeating: "🙂", count: 16_384),
            ]

            try await test.append(texts.map { test.message($0, in: thread, by: test.alice) })

            let stored = try await test.log()
            #expect(stored.compactMap { $0.text.map { Array($0.utf8) } } == texts.map { Array($0.utf8) })
            guard case .created(let storedSubject, let users) = stored[0].content else {
                Issue.record("the first entry is not the thread's creation")
                return
            }
            #expect(storedSubject.open == subject)
            #expect(users == [test.alice.id, test.bob.id])
            #expect(try await test.view(thread, by: test.bob).thread.subject.open == subject)
        }
    }

    @Test("An entry keeps who wrote it, on what device, how urgent and when", arguments: TestEngine.allCases)
    func fields(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("now", in: thread, by: test.bob, priority: .urgent)

            let place = try await test.append([message]).outcomes[0].get()

            let expected = LogEntry(
                position: place.position, thread: thread, number: place.number, author: test.bob.id,
                device: test.device, clientID: message.clientID, at: place.at,
                content: .message(text: Sealed("now"), priority: .urgent))
            #expect(try await test.log().last == expected)
        }
    }

    @Test("A customer that does not exist has no log", arguments: TestEngine.allCases)
    func noCustomer(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let absent = Customer.ID.random()
            let batch = AppendBatch(messages: [test.message("x", in: .random(), by: test.alice)])
            await #expect(throws: StoreError.noSuchCustomer("\(absent)")) {
                try await test.store.append(batch, for: absent, fence: test.fence)
            }
            await #expect(throws: StoreError.noSuchCustomer("\(absent)")) {
                try await test.store.head(of: absent)
            }
        }
    }
}
