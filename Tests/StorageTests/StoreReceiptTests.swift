import Domain
import Store
import TestSupport
import Testing

@Suite("Receipts", .serialized)
struct StoreReceiptTests {
    @Test("Cursors never go back and never beyond the last number", arguments: TestEngine.allCases)
    func monotone(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            for index in 1...3 { try await test.say("\(index)", in: thread, by: test.alice) }

            try await test.mark(thread, by: test.bob, delivered: 3, read: 2)
            try await test.mark(thread, by: test.bob, delivered: 1, read: 1)
            try await test.mark(thread, by: test.bob, delivered: -5, read: .min)
            let behind = try await test.view(thread, by: test.bob)
            try await test.mark(thread, by: test.bob, delivered: 99, read: .max)
            let ahead = try await test.view(thread, by: test.bob)

            #expect([behind.delivered, behind.read, behind.unread] == [3, 2, 2])
            #expect([ahead.delivered, ahead.read, ahead.unread] == [4, 4, 0])
            #expect(
                try await test.log().filter(\.isReceipts).map(\.content) == [
                    .receipts([Receipt(user: test.bob.id, delivered: 3, read: 2)]),
                    .receipts([Receipt(user: test.bob.id, delivered: 4, read: 4)]),
                ])
        }
    }

    @Test("Reading is having got: read moves delivered along", arguments: TestEngine.allCases)
    func readMeansDelivered(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("1", in: thread, by: test.alice)

            let entries = try await test.mark(thread, by: test.bob, read: 2)

            #expect(
                entries.map(\.content) == [.receipts([Receipt(user: test.bob.id, delivered: 2, read: 2)])])
        }
    }

    @Test(
        "The receipts of a thread in one batch are one entry without a number", arguments: TestEngine.allCases
    )
    func merged(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let group = try await test.thread(test.alice, test.bob, test.carol)
            let pair = try await test.thread(test.alice, test.bob)
            let head = try await test.head

            let result = try await test.append(
                [test.message("to read at once", in: pair, by: test.alice)],
                receipts: [
                    NewReceipt(thread: pair, user: test.bob.id, delivered: 2, read: 0),
                    NewReceipt(thread: group, user: test.carol.id, delivered: 1, read: 1),
                    NewReceipt(thread: group, user: test.bob.id, delivered: 1, read: 0),
                ])

            let stored = try await test.log()[Int(head)...]
            #expect(Array(stored.dropFirst()) == result.receiptEntries)
            #expect(result.receiptEntries.map(\.position) == [head + 2, head + 3])
            #expect(result.receiptEntries.allSatisfy { $0.number == nil && $0.author == nil })
            let receipts = result.receiptEntries.first { $0.thread == group }?.content
            let expected = [
                Receipt(user: test.bob.id, delivered: 1, read: 0),
                Receipt(user: test.carol.id, delivered: 1, read: 1),
            ].sorted { $0.user < $1.user }
            #expect(receipts == .receipts(expected))
            #expect(try await test.view(pair, by: test.bob).delivered == 2)
            #expect(try await test.view(group, by: test.alice).thread.lastNumber == 1)
        }
    }

    @Test("Receipts that move nothing write nothing", arguments: TestEngine.allCases)
    func idle(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let foreign = try await test.thread(test.carol, test.dave)
            try await test.say("1", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, read: 2)
            let head = try await test.head

            let result = try await test.append(
                [],
                receipts: [
                    NewReceipt(thread: thread, user: test.bob.id, delivered: 2, read: 2),
                    NewReceipt(thread: foreign, user: test.bob.id, delivered: 1, read: 1),
                    NewReceipt(thread: thread, user: test.carol.id, delivered: 1, read: 1),
                    NewReceipt(thread: .random(), user: test.bob.id, delivered: 1, read: 1),
                ])

            #expect(result.receiptEntries.isEmpty)
            #expect(try await test.head == head)
        }
    }

    @Test("Who has left moves no cursor", arguments: TestEngine.allCases)
    func left(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("1", in: thread, by: test.alice)
            try await test.change(.leave(thread), by: test.bob)

            #expect(try await test.mark(thread, by: test.bob, read: 2).isEmpty)
        }
    }

    @Test("Writing means having read only where nothing unread lies before", arguments: TestEngine.allCases)
    func ownRead(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.mark(thread, by: test.bob, read: 1)

            try await test.say("2", in: thread, by: test.alice)
            #expect(try await test.view(thread, by: test.alice).unread == 0)
            try await test.say("3", in: thread, by: test.bob)
            #expect(try await test.view(thread, by: test.bob).read == 1)
            #expect(try await test.view(thread, by: test.alice).unread == 1)
        }
    }

    @Test(
        "Messages of several authors in one batch are not read by each other", arguments: TestEngine.allCases)
    func ownReadInBatch(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob, test.carol)
            for user in [test.bob, test.carol] { try await test.mark(thread, by: user, read: 1) }

            try await test.append(
                [test.alice, test.alice, test.bob, test.alice].map {
                    test.message("text", in: thread, by: $0)
                })

            #expect(try await test.view(thread, by: test.alice).read == 3)
            #expect(try await test.view(thread, by: test.bob).read == 1)
            #expect(try await test.view(thread, by: test.carol).unread == 4)
        }
    }

    @Test("Unread is what people see and the user has not read", arguments: TestEngine.allCases)
    func unread(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            for index in 1...5 { try await test.say("\(index)", in: thread, by: test.alice) }
            #expect(try await test.view(thread, by: test.bob).unread == 6)

            try await test.mark(thread, by: test.bob, delivered: 6, read: 4)

            #expect(try await test.view(thread, by: test.bob).unread == 2)
            #expect(try await test.view(thread, by: test.alice).unread == 0)
        }
    }

    @Test("Who resumes gets the receipts of their threads", arguments: TestEngine.allCases)
    func resumed(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("2", in: thread, by: test.alice)
            let head = try await test.head

            let entries = try await test.mark(thread, by: test.bob, delivered: 2, read: 1)

            #expect(try await test.seen(by: test.alice, after: head) == entries)
            #expect(try await test.seen(by: test.carol, after: 0).isEmpty)
        }
    }
}
