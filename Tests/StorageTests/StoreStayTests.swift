import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Leaving a thread and coming back", .serialized)
struct StoreStayTests {
    @Test(
        "What nobody read of an earlier stay stays unread and urgent, and what was said while away does not count",
        arguments: TestEngine.allCases)
    func marks(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await urgent("2", in: thread, by: test.alice, test)
            try await test.say("3", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, delivered: 3, read: 1)
            try await test.change(.leave(thread), by: test.bob)
            for text in ["5", "6", "7"] { try await urgent(text, in: thread, by: test.alice, test) }
            try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)
            try await urgent("9", in: thread, by: test.alice, test)

            let view = try await test.view(thread, by: test.bob)
            #expect([view.delivered, view.read, view.unread] == [3, 1, 5])
            #expect([Int64(view.urgent.count), view.urgent.first] == [2, 2])
            let inbox = try await test.store.inbox(
                of: test.bob.id, at: test.customer.id, before: nil, limit: 10)
            #expect(inbox.threads.map(\.unread) == [5])
            #expect(inbox.threads.map(\.urgent.count) == [2])
            #expect(try await receipt(of: test.bob, for: 2, in: thread, test)?.isRead == false)

            try await test.mark(thread, by: test.bob, read: 8)
            let after = try await test.view(thread, by: test.bob)
            #expect([after.read, after.unread, Int64(after.urgent.count)] == [8, 1, 1])
            #expect(try await receipt(of: test.bob, for: 2, in: thread, test)?.isRead == true)
        }
    }

    @Test(
        "Where all was read before leaving, the marks pass what was said while away",
        arguments: TestEngine.allCases)
    func readAll(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, read: 2)
            try await test.change(.leave(thread), by: test.bob)
            try await test.say("4", in: thread, by: test.alice)
            try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)

            let view = try await test.view(thread, by: test.bob)
            #expect([view.delivered, view.read, view.unread] == [4, 4, 1])
            // Bob was not there for 4, so it is not said of him that he read it.
            #expect(try await receipt(of: test.bob, for: 4, in: thread, test) == nil)
        }
    }

    @Test(
        "Receipts of the time between two stays are not caught up with, those of both stays are",
        arguments: TestEngine.allCases)
    func receipts(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.bob)
            let first = try await test.mark(thread, by: test.alice, delivered: 2)
            try await test.change(.leave(thread), by: test.bob)
            try await test.say("4", in: thread, by: test.alice)
            try await test.mark(thread, by: test.alice, delivered: 3, read: 2)
            try await test.change(.addParticipants(thread, [test.bob.id, test.carol.id]), by: test.alice)
            let last = try await test.mark(thread, by: test.carol, read: 5)

            let seen = try await test.seen(by: test.bob)

            #expect(seen.filter(\.isReceipts).map(\.position) == [first[0].position, last[0].position])
            #expect(seen.compactMap(\.number) == [1, 2, 3, 5])
        }
    }

    @Test(
        "Who left and came back 1,000 times reads a page of history with few rows, and all of it in pages",
        arguments: TestEngine.allCases)
    func often(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let times = 1_000
            let thread = try await test.thread(test.alice, test.bob)
            for _ in 0..<times {
                try await test.change(.leave(thread), by: test.bob)
                try await test.say("between", in: thread, by: test.alice)
                try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)
            }
            let last = EntryNumber(1 + 3 * times)
            let between = Set((0..<times).map { EntryNumber(3 + 3 * $0) })
            let visible = (1...last).filter { !between.contains($0) }
            let start = ContinuousClock.now

            var found: [EntryNumber] = []
            var hasMore = true
            while hasMore {
                let page = try await test.history(thread, by: test.bob, .before(found.first), limit: 100)
                found = page.entries.compactMap(\.number) + found
                hasMore = page.more
            }
            let caughtUp = try await test.seen(by: test.bob).compactMap(\.number)
            let view = try await test.view(thread, by: test.bob)

            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(found == visible)
            #expect(caughtUp == visible)
            #expect(view.participants.first { $0.user.id == test.bob.id }?.earlier.count == times)
            #expect(view.unread == Int64(visible.count))
        }
    }

    @Test(
        "Somebody who leaves and comes back while others write sees each number of the stays and no other",
        arguments: TestEngine.allCases)
    func concurrent(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for _ in 0..<60 { try await test.say("text", in: thread, by: test.alice) }
                }
                group.addTask {
                    for _ in 0..<10 {
                        try await test.change(.leave(thread), by: test.bob)
                        try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)
                    }
                }
                try await group.waitForAll()
            }
            // Who was in the thread at each number follows from its entries alone.
            var isHere = true
            var visible: [EntryNumber] = []
            for entry in try await test.log() where entry.number != nil {
                if case .added = entry.content { isHere = true }
                if isHere, let number = entry.number { visible.append(number) }
                if case .left = entry.content { isHere = false }
            }

            #expect(try await test.history(thread, by: test.bob).entries.compactMap(\.number) == visible)
            #expect(try await test.seen(by: test.bob).compactMap(\.number) == visible)
            #expect(try await test.view(thread, by: test.bob).participants.count == 2)
        }
    }

    @Test(
        "A recall of what was recalled is answered as the first one, to its author alone",
        arguments: TestEngine.allCases)
    func recalledAgain(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("oops", in: thread, by: test.alice)
            let places = try await withThrowingTaskGroup(of: Acceptance.self) { group in
                for _ in 0..<3 {
                    group.addTask { try await test.change(.recall(thread, 2), by: test.alice).acceptance }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let head = try await test.head
            let again = try await test.change(.recall(thread, 2), by: test.alice)

            #expect(Set(places.map(\.position)) == [3])
            #expect(places.count { !$0.replayed } == 1)
            #expect([again.acceptance.position, again.acceptance.number] == [3, 3])
            #expect(again.acceptance.replayed && again.acceptance.at == places[0].at)
            #expect(try await test.head == head)
            await #expect(throws: AppendRefusal.notYours) {
                try await test.change(.recall(thread, 2), by: test.bob)
            }
            await #expect(throws: AppendRefusal.notFound) {
                try await test.change(.recall(thread, 3), by: test.alice)
            }
        }
    }

    @Test(
        "A receipt far behind its message is found from the log's end, and one in between is said without its time",
        arguments: TestEngine.allCases)
    func lateReceipts(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob, test.carol, test.dave)
            for number in 2...20 { try await test.say("\(number)", in: thread, by: test.alice) }
            for number in 2...7 { try await test.mark(thread, by: test.bob, delivered: EntryNumber(number)) }
            try await test.mark(thread, by: test.carol, read: 2)
            for number in 8...12 { try await test.mark(thread, by: test.bob, delivered: EntryNumber(number)) }
            let read = try await test.mark(thread, by: test.bob, read: 12)
            for number in 13...14 {
                try await test.mark(thread, by: test.bob, delivered: EntryNumber(number))
            }

            let found = try await test.store.message(
                2, in: thread, for: test.alice.id, at: test.customer.id, scanning: 4)
            let receipts = found?.receipts ?? []

            func of(_ user: User) -> MessageReceipt? { receipts.first { $0.user.id == user.id } }
            #expect(of(test.bob)?.read == read[0].at)
            #expect(of(test.bob)?.delivered != nil)
            #expect(of(test.carol)?.isRead == true && of(test.carol)?.isDelivered == true)
            #expect(of(test.carol)?.read == nil)
            #expect(of(test.dave)?.isRead == false && of(test.dave)?.isDelivered == false)
            let all = try await test.store.message(2, in: thread, for: test.alice.id, at: test.customer.id)
            #expect(all?.receipts.filter { $0.read != nil }.map(\.user.id) == [test.bob.id, test.carol.id])
        }
    }

    @Test(
        "A database of schema 5 keeps its people, and who comes back after the step keeps the stay before it",
        arguments: TestEngine.allCases)
    func migrated(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, read: 2)
            try await test.change(.leave(thread), by: test.bob)
            // As it was before the step.
            try await test.store.database.query("DROP TABLE earlier_stay")
            try await test.store.database.query("DELETE FROM schema_version WHERE number >= 6")

            #expect(try await test.store.migrate().first == 6)
            #expect(try await test.history(thread, by: test.bob).entries.map(\.number) == [1, 2, 3])
            try await test.say("4", in: thread, by: test.alice)
            try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)

            #expect(try await test.history(thread, by: test.bob).entries.map(\.number) == [1, 2, 3, 5])
            #expect(try await test.view(thread, by: test.bob).unread == 1)
        }
    }

    private func urgent(
        _ text: String, in thread: MessageThread.ID, by user: User, _ test: StoreUnderTest
    ) async throws {
        try await test.append([test.message(text, in: thread, by: user, priority: .urgent)])
    }

    private func receipt(
        of user: User, for number: EntryNumber, in thread: MessageThread.ID, _ test: StoreUnderTest
    ) async throws -> MessageReceipt? {
        try await test.store.message(number, in: thread, for: test.alice.id, at: test.customer.id)?
            .receipts.first { $0.user.id == user.id }
    }
}
