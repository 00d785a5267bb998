import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Two servers on one log", .serialized)
struct StoreRaceTests {
    @Test("Eight parallel sends of one id on two servers store one message", arguments: TestEngine.allCases)
    func duplicates(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let fences = [test.fence, try await test.store.registerServer(address: "b:1", version: "1")]
            let thread = try await test.thread(test.alice, test.bob)
            let messages = (0..<20).map { test.message("\($0)", in: thread, by: test.alice) }

            let attempts = try await withThrowingTaskGroup(of: [AppendOutcome].self) { group in
                for attempt in 0..<8 {
                    let batch = attempt < 4 ? messages : messages.reversed()
                    group.addTask {
                        let outcomes = try await test.append(batch, fence: fences[attempt % 2]).outcomes
                        return attempt < 4 ? outcomes : outcomes.reversed()
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            for index in messages.indices {
                let places = try attempts.map { try $0[index].get() }
                #expect(Set(places.map(\.position)).count == 1)
                #expect(places.count { !$0.replayed } == 1)
            }
            #expect(try await test.head == 21)
            let replays = try await test.store.database.query("SELECT sum(replays) FROM entry WHERE kind = 1")
            #expect(try replays[0].double(0) == 140)
        }
    }

    @Test("A superseded server appends, changes and revokes nothing", arguments: TestEngine.allCases)
    func superseded(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let session = try await test.store.openSession(
                for: test.alice, customerName: "Acme", device: nil, deviceName: "phone", tokenHash: [1],
                policy: SessionPolicy())
            let message = test.message("late", in: thread, by: test.alice)
            #expect(try await test.store.beat(test.server.identity, state: "active") != nil)

            let successor = try await test.store.registerServer(address: "a:1", version: "2")

            #expect(successor.server == test.fence.server)
            let head = try await test.head
            await #expect(throws: StoreError.superseded) { try await test.append([message]) }
            await #expect(throws: StoreError.superseded) {
                try await test.mark(thread, by: test.bob, read: 1)
            }
            await #expect(throws: StoreError.superseded) {
                try await test.change(.leave(thread), by: test.bob)
            }
            await #expect(throws: StoreError.superseded) {
                try await test.store.revoke(session, fence: test.fence)
            }
            #expect(try await test.store.beat(test.server.identity, state: "active") == nil)
            #expect(try await test.head == head)
            #expect(try await test.store.session(tokenHash: [1], policy: SessionPolicy()) == session)
            #expect(try await test.append([message], fence: successor).outcomes[0].get().replayed == false)
        }
    }

    @Test("A removal that commits while an append waits for the log is seen by it (F23a)")
    func removalDuringWait() async throws {
        try await withStore(on: .postgres) { test in
            // The database ends transactions that are idle for 3 s: on a busy machine the first may not be seen to wait.
            for _ in 0..<5 where try await isRemovedDuringWait(test) { return }
            Issue.record("no append was seen to wait for the log")
        }
    }

    /// - Returns: false when the append was not seen to wait while the removal held the log.
    private func isRemovedDuringWait(_ test: StoreUnderTest) async throws -> Bool {
        let thread = try await test.thread(test.alice, test.bob)
        let head = try await test.head
        let message = test.message("too late", in: thread, by: test.bob)
        let (locked, lock) = AsyncStream.makeStream(of: Void.self)
        let release = Gate()
        async let removal = test.store.database.write { session in
            try session.run("SELECT 1 FROM log_head WHERE customer_id = \(test.customer.id) FOR UPDATE")
            lock.finish()
            release.wait()
            return try session.run(
                """
                UPDATE participant SET left_number = 1
                WHERE thread_id = \(thread) AND user_id = \(test.bob.id)
                """
            ).affectedRows
        }
        for await _ in locked {}

        async let outcome = test.append([message]).outcomes[0]
        let patience = ContinuousClock.now + .seconds(2)
        var isWaiting = false
        while !isWaiting, ContinuousClock.now < patience {
            try await Task.sleep(for: .milliseconds(5))
            isWaiting = try await !test.store.database.query(
                """
                SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                    AND wait_event_type = 'Lock' AND query LIKE '%asm_append%'
                """
            ).isEmpty
        }
        release.open()
        guard isWaiting else {
            _ = try? await (removal, outcome)  // Whatever became of them: it proves nothing.
            return false
        }

        #expect(try await removal == 1)
        #expect(try await outcome == .failure(.notFound))
        #expect(try await test.head == head)
        return true
    }

    @Test("A successor registers only when the appends that its predecessor had begun have ended")
    func successorWaits() async throws {
        // For 3 s only, as above.
        for _ in 0..<5 where try await isSuccessorWaiting() { return }
        Issue.record("no successor was seen to wait for the log")
    }

    /// - Returns: false when the append and the successor were not both seen to wait while the log was held.
    private func isSuccessorWaiting() async throws -> Bool {
        var isWaiting = false
        try await withStore(on: .postgres) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("just in time", in: thread, by: test.bob)
            let (locked, lock) = AsyncStream.makeStream(of: Void.self)
            let release = Gate()
            async let holder: Void = test.store.database.write { session in
                try session.run("SELECT 1 FROM log_head WHERE customer_id = \(test.customer.id) FOR UPDATE")
                lock.finish()
                release.wait()
            }
            for await _ in locked {}
            func waiting() async throws -> Int {
                try await test.store.database.query(
                    """
                    SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                    """
                ).count
            }

            async let outcome = test.append([message]).outcomes[0]
            let patience = ContinuousClock.now + .seconds(2)
            while try await waiting() < 1, ContinuousClock.now < patience {
                try await Task.sleep(for: .milliseconds(5))
            }
            async let successor = test.store.registerServer(address: "a:1", version: "2")
            while !isWaiting, ContinuousClock.now < patience {
                try await Task.sleep(for: .milliseconds(5))
                isWaiting = try await waiting() == 2
            }
            release.open()
            guard isWaiting else {
                _ = try? await (outcome, successor, holder)  // Whatever became of them: it proves nothing.
                return
            }

            #expect(try await outcome.get().replayed == false)
            _ = try await successor
            try await holder
            await #expect(throws: StoreError.superseded) { try await test.append([message]) }
        }
        return isWaiting
    }

    @Test(
        "Leaving and sending at once never lets a message in after the leaving",
        arguments: TestEngine.allCases)
    func leaving(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            for _ in 0..<5 {
                let thread = try await test.thread(test.alice, test.bob)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<8 {
                        group.addTask {
                            try await test.append([test.message("\(index)", in: thread, by: test.bob)])
                        }
                        if index == 3 {
                            group.addTask { try await test.change(.leave(thread), by: test.bob) }
                        }
                    }
                    try await group.waitForAll()
                }
                let entries = try await test.history(thread, by: test.alice).entries
                #expect(entries.last?.content == .left(test.bob.id))
                #expect(entries.map(\.number) == (1...EntryNumber(entries.count)).map { $0 })
            }
        }
    }
}
