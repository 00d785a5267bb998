import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Changes to a thread", .serialized)
struct StoreChangeTests {
    @Test("A change that is repeated is made once and answered as before", arguments: TestEngine.allCases)
    func idempotent(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = MessageThread.ID.random()
            let users = [test.alice.id, test.bob.id]
            let steps: [(ThreadChange, ThreadChange)] = [
                // The server chooses the thread's id, so that of the repeat is another.
                (
                    .create(thread, subject: "Plan", participants: users),
                    .create(.random(), subject: "Plan", participants: users)
                ),
                (.addParticipants(thread, [test.carol.id]), .addParticipants(thread, [test.carol.id])),
                (.recall(thread, 3), .recall(thread, 3)),
                (.leave(thread), .leave(thread)),
            ]
            for (index, step) in steps.enumerated() {
                if index == 2 { try await test.say("oops", in: thread, by: test.alice) }
                let id = ClientID.random()
                let first = try await test.change(step.0, by: test.alice, clientID: id)
                let head = try await test.head
                let again = try await test.change(step.1, by: test.alice, clientID: id)

                #expect(!first.acceptance.replayed && again.acceptance.replayed)
                #expect(first.acceptance.position == again.acceptance.position)
                #expect(first.acceptance.number == again.acceptance.number)
                #expect([first.thread, again.thread] == [thread, thread])
                #expect(try await test.head == head)
            }
            let log = try await test.log()
            #expect(log.map(\.position) == [1, 2, 3, 4, 5])
            #expect(log.map(\.number) == [1, 2, 3, 4, 5])
            let replays = try await test.store.database.query("SELECT count(*) FROM entry WHERE replays = 1")
            #expect(try replays[0].int(0) == 4)
        }
    }

    @Test("A client id reused for another change is refused", arguments: TestEngine.allCases)
    func keyReused(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let id = ClientID.random()
            let users = [test.alice.id, test.bob.id]
            let thread = try await test.change(
                .create(.random(), subject: "A", participants: users), by: test.alice, clientID: id
            ).thread
            for change in [
                ThreadChange.create(.random(), subject: "B", participants: users),
                .create(.random(), subject: "A", participants: [test.alice.id]), .leave(thread),
                .recall(thread, 1), .addParticipants(thread, [test.bob.id]),
            ] {
                await #expect(throws: AppendRefusal.keyReused) {
                    try await test.change(change, by: test.alice, clientID: id)
                }
            }
            let message = test.message("A", in: thread, by: test.alice, clientID: id)
            #expect(try await test.append([message]).outcomes == [.failure(.keyReused)])
            #expect(try await test.head == 1)
        }
    }

    @Test("Who is not in a thread changes nothing in it", arguments: TestEngine.allCases)
    func stranger(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("text", in: thread, by: test.alice)
            let head = try await test.head
            for change in [
                ThreadChange.leave(thread), .recall(thread, 2),
                .addParticipants(thread, [test.carol.id]), .leave(.random()),
            ] {
                await #expect(throws: AppendRefusal.notFound) {
                    try await test.change(change, by: test.carol)
                }
            }
            #expect(try await test.head == head)
        }
    }

    @Test("Users who are absent, disabled or another customer's join nothing", arguments: TestEngine.allCases)
    func noSuchUser(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let rival = try await test.store.addCustomer(named: "Rival")
            let spy = try await test.store.addUser(
                login: "alice", name: "Spy", passwordHash: Sealed("hash"), to: rival.id)
            try await test.store.database.query("UPDATE app_user SET disabled = 1 WHERE id = \(test.dave.id)")
            let thread = try await test.thread(test.alice, test.bob)
            let head = try await test.head

            for user in [spy.id, test.dave.id, .random()] {
                await #expect(throws: AppendRefusal.noSuchUser) {
                    try await test.change(.addParticipants(thread, [test.carol.id, user]), by: test.alice)
                }
                await #expect(throws: AppendRefusal.noSuchUser) {
                    try await test.change(
                        .create(.random(), subject: "", participants: [test.bob.id, user]), by: test.alice)
                }
            }
            #expect(try await test.head == head)
            #expect(try await test.view(thread, by: test.alice).participantCount == 2)
        }
    }

    @Test("A message taken back leaves no text in the table", arguments: TestEngine.allCases)
    func recall(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let secret = try await test.say("secret", in: thread, by: test.alice)

            await #expect(throws: AppendRefusal.notYours) {
                try await test.change(.recall(thread, secret.number), by: test.bob)
            }
            await #expect(throws: AppendRefusal.notFound) {
                try await test.change(.recall(thread, 9), by: test.alice)
            }
            await #expect(throws: AppendRefusal.notFound) {
                try await test.change(.recall(thread, 1), by: test.alice)
            }
            let recalled = try await test.change(.recall(thread, secret.number), by: test.alice)

            let entries = try await test.history(thread, by: test.bob).entries
            #expect(entries[1].content == .recalledMessage)
            #expect(entries[1].number == secret.number)
            #expect(entries[2].content == .recalled(number: secret.number))
            #expect(entries[2].position == recalled.acceptance.position)
            let bodies = try await test.store.database.query("SELECT body FROM entry")
            #expect(try bodies.allSatisfy { try !$0.text(ofBlob: 0).contains("secret") })
        }
    }

    @Test(
        "A repeated send after the recall is answered, and brings no text back",
        arguments: TestEngine.allCases)
    func replayAfterRecall(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("secret", in: thread, by: test.alice)
            let first = try await test.append([message]).outcomes[0].get()
            try await test.change(.recall(thread, first.number), by: test.alice)

            let again = try await test.append([message]).outcomes[0].get()

            #expect(again.replayed && again.position == first.position)
            #expect(try await test.log()[1].content == .recalledMessage)
        }
    }

    @Test("Who is added sees the thread from then on", arguments: TestEngine.allCases)
    func added(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("before", in: thread, by: test.alice)
            let added = try await test.change(.addParticipants(thread, [test.carol.id]), by: test.bob)
            try await test.say("after", in: thread, by: test.alice)

            let entries = try await test.history(thread, by: test.carol).entries

            #expect(entries.map(\.content).first == .added([test.carol.id]))
            #expect(entries.map(\.number) == [3, 4])
            #expect(try await test.seen(by: test.carol).map(\.number) == [3, 4])
            #expect(try await test.view(thread, by: test.carol).unread == 2)
            #expect(added.acceptance.number == 3)
            #expect(try await message(2, in: thread, by: test.carol, test) == nil)
            #expect(try await message(4, in: thread, by: test.carol, test)?.text == "after")
        }
    }

    @Test(
        "Who has left sees nothing after, and who is added again sees both stays and not what lay between",
        arguments: TestEngine.allCases
    )
    func leftAndBack(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, read: 2)
            try await test.change(.leave(thread), by: test.bob)
            try await test.say("4", in: thread, by: test.alice)
            try await test.mark(thread, by: test.alice, read: 4)

            #expect(try await test.history(thread, by: test.bob).entries.map(\.number) == [1, 2, 3])
            #expect(try await test.seen(by: test.bob).compactMap(\.number) == [1, 2, 3])
            #expect(try await test.view(thread, by: test.bob).leftNumber == 3)
            #expect(try await message(4, in: thread, by: test.bob, test) == nil)
            let left = try await test.store.inbox(
                of: test.bob.id, at: test.customer.id, before: nil, limit: 10)
            #expect(left.threads.isEmpty)

            try await test.change(.addParticipants(thread, [test.bob.id]), by: test.alice)
            try await test.say("6", in: thread, by: test.alice)

            #expect(try await test.history(thread, by: test.bob).entries.map(\.number) == [1, 2, 3, 5, 6])
            #expect(try await test.seen(by: test.bob).compactMap(\.number) == [1, 2, 3, 5, 6])
            #expect(try await message(2, in: thread, by: test.bob, test)?.text == "2")
            #expect(try await message(4, in: thread, by: test.bob, test) == nil)
            let view = try await test.view(thread, by: test.bob)
            #expect(view.leftNumber == nil)
            #expect(view.unread == 2)
            #expect(try await test.say("7", in: thread, by: test.bob).number == 7)
        }
    }

    @Test("Adding someone who is in already changes nothing for them", arguments: TestEngine.allCases)
    func addedTwice(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.alice)

            try await test.change(.addParticipants(thread, [test.bob.id, test.carol.id]), by: test.alice)

            #expect(try await test.history(thread, by: test.bob).entries.map(\.number) == [1, 2, 3])
            #expect(try await test.log().last?.content == .added([test.carol.id]))
        }
    }

    private func message(
        _ number: EntryNumber, in thread: MessageThread.ID, by user: User, _ test: StoreUnderTest
    ) async throws -> LogEntry? {
        try await test.store.message(number, in: thread, for: user.id, at: test.customer.id)?.entry
    }
}
