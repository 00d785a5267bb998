import Domain
import Store
import TestSupport
import Testing

@Suite("Inbox, history and resuming", .serialized)
struct StoreReadTests {
    @Test("Inbox pages hold each thread once, newest first", arguments: TestEngine.allCases)
    func inboxPages(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var threads: [MessageThread.ID] = []
            for index in 0..<7 {
                threads.append(try await test.thread(test.alice, test.bob, subject: "\(index)"))
            }
            try await test.say("up", in: threads[2], by: test.bob)
            // A receipt is nothing that people see: it moves no thread.
            try await test.mark(threads[0], by: test.bob, read: 1)
            _ = try await test.thread(test.carol, test.dave)

            var pages: [InboxPage] = []
            var before: LogPosition?
            repeat {
                let page = try await test.store.inbox(
                    of: test.alice.id, at: test.customer.id, before: before, limit: 3)
                pages.append(page)
                before = page.next
            } while before != nil

            #expect(pages.map(\.threads.count) == [3, 3, 1])
            #expect(
                pages.flatMap(\.threads).map(\.thread.subject.open) == ["2", "6", "5", "4", "3", "1", "0"])
            let top = try #require(pages.first?.threads.first)
            #expect(top.last?.text == "up")
            #expect([top.unread, top.read, top.thread.lastNumber] == [1, 1, 2])
            #expect(top.participants.map(\.user.name) == ["Alice", "Bob"])
            let head = try await test.store.head(of: test.customer.id)
            #expect(pages[0].head == head)
            let exact = try await test.store.inbox(
                of: test.alice.id, at: test.customer.id, before: nil, limit: 7)
            #expect(exact.threads.count == 7)
            #expect(exact.next == nil)
        }
    }

    @Test("An inbox line names few of many participants, and says how many", arguments: TestEngine.allCases)
    func manyParticipants(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var users = [test.alice]
            for index in 0..<11 {
                users.append(
                    try await test.store.addUser(
                        login: "user\(index)", name: "User", passwordHash: Sealed("hash"),
                        to: test.customer.id))
            }
            try await test.change(
                .create(.random(), subject: "", participants: users.map(\.id)), by: test.alice)

            let page = try await test.store.inbox(
                of: test.alice.id, at: test.customer.id, before: nil, limit: 1)

            #expect(page.threads[0].participants.count == Store.inboxParticipants)
            #expect(page.threads[0].participantCount == 12)
            #expect(try await test.view(page.threads[0].thread.id, by: test.alice).participants.count == 12)
        }
    }

    @Test("Who has left is not named in the inbox, nor counted", arguments: TestEngine.allCases)
    func inboxWithoutThoseWhoLeft(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob, test.carol)
            try await test.change(.leave(thread), by: test.bob)

            let page = try await test.store.inbox(
                of: test.alice.id, at: test.customer.id, before: nil, limit: 1)

            #expect(page.threads[0].participants.map(\.user.id) == [test.alice.id, test.carol.id])
            #expect(page.threads[0].participantCount == 2)
            let details = try await test.view(thread, by: test.alice)
            #expect(details.participants.count == 3)
            #expect(details.participantCount == 2)
        }
    }

    @Test("History goes page by page both ways without a gap", arguments: TestEngine.allCases)
    func history(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            for number in 2...10 {
                try await test.say("\(number)", in: thread, by: test.alice)
                try await test.mark(thread, by: test.bob, read: EntryNumber(number))
            }
            func page(_ page: HistoryPage, _ limit: Int) async throws -> Page {
                let found = try await test.history(thread, by: test.bob, page, limit: limit)
                return Page(numbers: found.entries.compactMap(\.number), more: found.more)
            }
            let expected: [(HistoryPage, ClosedRange<EntryNumber>?, Bool)] = [
                (.before(nil), 7...10, true), (.before(7), 3...6, true), (.before(3), 1...2, false),
                (.before(1), nil, false), (.after(0), 1...4, true), (.after(6), 7...10, false),
                (.after(10), nil, false),
            ]

            for (wish, numbers, more) in expected {
                let found = try await page(wish, 4)
                #expect(found == Page(numbers: numbers.map { Array($0) } ?? [], more: more))
            }
            let whole = try await page(.before(nil), 10)
            #expect(whole == Page(numbers: Array(1...10), more: false))
        }
    }

    private struct Page: Equatable {
        let numbers: [EntryNumber]
        let more: Bool
    }

    @Test("A thread is as if absent for strangers and other customers", arguments: TestEngine.allCases)
    func foreign(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            try await test.say("secret", in: thread, by: test.alice)
            let rival = try await test.store.addCustomer(named: "Rival")
            let store = test.store
            for (user, customer) in [(test.carol.id, test.customer.id), (test.alice.id, rival.id)] {
                #expect(try await store.thread(thread, for: user, at: customer) == nil)
                #expect(
                    try await store.history(
                        of: thread, for: user, at: customer, page: .before(nil), limit: 10) == nil)
                #expect(try await store.message(2, in: thread, for: user, at: customer) == nil)
                #expect(
                    try await store.entries(
                        for: user, of: customer, after: 0, upTo: .max, limit: 10
                    ).isEmpty)
                #expect(
                    try await store.inbox(of: user, at: customer, before: nil, limit: 10).threads.isEmpty)
            }
            #expect(try await store.entries(of: rival.id, after: 0, limit: 10).isEmpty)
        }
    }

    @Test(
        "A message's details say when each other participant got and read it", arguments: TestEngine.allCases)
    func details(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob, test.carol)
            let sent = try await test.say("2", in: thread, by: test.alice)
            try await test.mark(thread, by: test.bob, delivered: 1)
            let got = try await test.mark(thread, by: test.bob, delivered: 2)[0]
            try await test.say("3", in: thread, by: test.alice)
            let read = try await test.mark(thread, by: test.bob, delivered: 3, read: 3)[0]
            try await test.change(.addParticipants(thread, [test.dave.id]), by: test.alice)

            let details = try #require(
                try await test.store.message(2, in: thread, for: test.alice.id, at: test.customer.id))

            #expect(details.entry.position == sent.position)
            #expect(details.receipts.map(\.user) == [test.bob, test.carol])
            #expect(details.receipts[0].delivered == got.at)
            #expect(details.receipts[0].read == read.at)
            #expect(details.receipts[1].delivered == nil)
            #expect(details.receipts[1].read == nil)
        }
    }

    @Test(
        "Resuming gives what one's threads gained in between, in order and cut",
        arguments: TestEngine.allCases)
    func resume(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let one = try await test.thread(test.alice, test.bob)
            let two = try await test.thread(test.alice, test.carol)
            let start = try await test.head
            try await test.append(
                (0..<10).map { index in
                    index % 2 == 0
                        ? test.message("\(index)", in: one, by: test.bob)
                        : test.message("\(index)", in: two, by: test.carol)
                })
            let user = test.bob.id
            let customer = test.customer.id

            let whole = try await test.seen(by: test.bob, after: start)
            let middle = try await test.seen(by: test.bob, after: start + 1, upTo: start + 7)
            let cut = try await test.store.entries(
                for: user, of: customer, after: start, upTo: .max, limit: 2)

            #expect(whole.map(\.text) == ["0", "2", "4", "6", "8"])
            #expect(middle.map(\.text) == ["2", "4", "6"])
            #expect(cut.map(\.text) == ["0", "2"])
            #expect(try await test.seen(by: test.alice, after: start).count == 10)
            let head = LogHead(epoch: try await test.store.head(of: customer).epoch, position: start + 10)
            let last = try #require(
                try await test.store.entries(of: customer, after: start + 9, limit: 1).first)
            let marked = MarkedHead(head: head, mark: last.mark)
            #expect(
                try await test.store.heads(of: [customer: start + 10, .random(): 1, .random(): 2])
                    == [customer: marked])
            #expect(try await test.store.markedHead(of: customer) == marked)
            #expect(try await test.store.heads(of: [customer: start + 11])[customer]?.mark == nil)
        }
    }

    @Test("Names are found by any part of them, wildcards meaning themselves", arguments: TestEngine.allCases)
    func search(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let odd = try await test.store.addUser(
                login: "per_cent", name: "100% sure!", passwordHash: Sealed("hash"), to: test.customer.id)
            func found(_ text: String) async throws -> [String] {
                try await test.store.users(of: test.customer.id, containing: text, limit: 3).map(\.login)
            }

            #expect(try await found("O") == ["bob", "carol"])
            #expect(try await found("%") == [odd.login])
            #expect(try await found("_") == [odd.login])
            #expect(try await found("sure!") == [odd.login])
            #expect(try await found("") == [odd.login, "alice", "bob"])
            let logins = try await test.store.users(
                of: test.customer.id, logins: ["dave", "nobody", "alice"])
            #expect(logins == [test.dave, test.alice])
        }
    }
}
