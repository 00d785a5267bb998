import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("How many people a thread takes", .serialized)
struct StoreParticipantTests {
    private static let limit = MessageLimits().participants

    private static func crowd(_ count: Int, in test: StoreUnderTest) async throws -> [User.ID] {
        var crowd: [User.ID] = []
        for number in 0..<count {
            crowd.append(
                try await test.store.addUser(
                    login: "person\(number)", name: "Person \(number)", passwordHash: Sealed("hash"),
                    to: test.customer.id
                ).id)
        }
        return crowd
    }

    @Test(
        "A thread takes 1,000 people and not one more, its creator and those who are added later included",
        arguments: TestEngine.allCases)
    func limit(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let crowd = try await Self.crowd(Self.limit, in: test)
            let full = DraftRejection.tooManyParticipants(limit: Self.limit)

            // The creator is the one too many.
            await #expect(throws: full) {
                try await test.change(.create(.random(), subject: "", participants: crowd), by: test.alice)
            }
            #expect(try await test.head == 0)
            let thread = try await test.change(
                .create(.random(), subject: "", participants: Array(crowd.dropLast(2))), by: test.alice
            ).thread
            let others = [crowd[Self.limit - 2], crowd[Self.limit - 1]]
            await #expect(throws: full) {
                try await test.change(.addParticipants(thread, others), by: test.alice)
            }
            try await test.change(.addParticipants(thread, [others[0]]), by: test.alice)
            await #expect(throws: full) {
                try await test.change(.addParticipants(thread, [others[1]]), by: test.alice)
            }
            #expect(try await test.view(thread, by: test.alice).participantCount == Self.limit)

            // Who has left makes room.
            try await test.change(.leave(thread), by: test.alice)
            let insider = try #require(
                try await test.store.users(of: test.customer.id, logins: ["person0"]).first)
            try await test.change(.addParticipants(thread, [others[1]]), by: insider)
        }
    }

    @Test(
        "Adding who is there already writes nothing and is answered with the entry that let them in, however often",
        arguments: TestEngine.allCases)
    func addedAlready(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let first = try await test.change(.addParticipants(thread, [test.carol.id]), by: test.alice)
            try await test.say("text", in: thread, by: test.alice)
            let head = try await test.head

            let id = ClientID.random()
            for clientID in [id, id, .random()] {
                let again = try await test.change(
                    .addParticipants(thread, [test.carol.id, test.bob.id, test.carol.id]), by: test.alice,
                    clientID: clientID)
                #expect(again.acceptance.replayed && again.thread == thread)
                #expect(again.acceptance.position == first.acceptance.position)
                #expect(again.acceptance.number == first.acceptance.number)
            }
            let creation = try await test.change(.addParticipants(thread, [test.bob.id]), by: test.carol)
            #expect(creation.acceptance.number == 1)
            #expect(try await test.head == head)
        }
    }

    @Test("A person who is named several times is let in once", arguments: TestEngine.allCases)
    func namedTwice(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.change(
                .create(.random(), subject: "", participants: [test.bob.id, test.alice.id, test.bob.id]),
                by: test.alice
            ).thread
            try await test.change(
                .addParticipants(thread, [test.carol.id, test.bob.id, test.carol.id]), by: test.alice)

            let entries = try await test.history(thread, by: test.alice).entries
            #expect(
                entries.map(\.content) == [
                    .created(subject: Sealed(""), participants: [test.bob.id, test.alice.id]),
                    .added([test.carol.id]),
                ])
            #expect(try await test.view(thread, by: test.alice).participantCount == 3)
        }
    }
}
