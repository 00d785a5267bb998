import Domain
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Live delivery", .serialized)
struct DeliveryTests {
    @Test(
        "A message goes once to every session it concerns but the one that sent it",
        arguments: TestEngine.allCases)
    func once(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let (phone, laptop) = (try await web.session("alice"), try await web.session("alice"))
            let (bob, carol) = (try await web.session("bob"), try await web.session("carol"))

            let sent = try await phone.send("hello", in: thread).get()
            await bob.until(text: "hello")
            await laptop.until(text: "hello")
            _ = await bob.send("answer", in: thread)
            await phone.until(text: "answer")
            await laptop.until(text: "answer")

            #expect(phone.texts == ["answer"])
            #expect(laptop.texts == ["hello", "answer"])
            #expect(bob.texts == ["hello"])
            #expect(carol.entries.isEmpty)
            #expect(bob.entries[0].position == sent.position)
            #expect(bob.entries[0].number == sent.number)
            #expect(bob.entries[0].at.microseconds == sent.at)
        }
    }

    @Test("Many messages at once arrive in the log's order, each once", arguments: TestEngine.allCases)
    func order(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob", "carol")
            let web = try test.web(try await test.server())
            let (alice, bob) = (try await web.session("alice"), try await web.session("bob"))
            let carol = try await web.session("carol")

            await withTaskGroup(of: Void.self) { group in
                for index in 0..<100 {
                    group.addTask { _ = await (index % 2 == 0 ? alice : bob).send("\(index)", in: thread) }
                }
            }
            await carol.until { $0.count >= 100 }

            let positions = carol.entries.map(\.position)
            #expect(positions == Array(positions[0]..<positions[0] + 100))
            #expect(carol.entries.compactMap(\.number) == Array(2...101))
            let stored = try await test.texts()
            #expect(carol.texts == stored)
        }
    }

    @Test(
        "Receipts go to the author and the reader's own devices, to nobody else",
        arguments: TestEngine.allCases)
    func receipts(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob", "carol")
            let web = try test.web(try await test.server())
            let alice = try await web.session("alice")
            let (bob, other) = (try await web.session("bob"), try await web.session("bob"))
            let carol = try await web.session("carol")
            let sent = try await alice.send("hello", in: thread).get()
            await bob.until(text: "hello")

            bob.mark(thread, delivered: sent.number)
            bob.mark(thread, read: sent.number)
            await alice.until { $0.contains(where: \.isReceipts) }
            await other.until { $0.contains(where: \.isReceipts) }
            _ = await alice.send("seen?", in: thread)
            for session in [bob, other, carol] { await session.until(text: "seen?") }

            let user = try await test.user("bob").id
            let receipt = Receipt(user: user, delivered: sent.number, read: sent.number)
            #expect(alice.entries.filter(\.isReceipts).last?.content == .receipts([receipt]))
            #expect(carol.entries.filter(\.isReceipts).isEmpty)
            #expect(bob.entries.filter(\.isReceipts).isEmpty)
        }
    }

    @Test(
        "A recall and a leaving are seen live, and who is out gets nothing more",
        arguments: TestEngine.allCases)
    func recallAndLeave(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob", "carol")
            let web = try test.web(try await test.server())
            let token = try await web.logIn("carol")
            let (alice, bob) = (try await web.session("alice"), try await web.session("bob"))
            let carol = await web.attach(token)
            let sent = try await alice.send("oops", in: thread).get()

            let recall = LinkRecallMessage.with {
                ($0.thread, $0.number, $0.clientID) = (thread.rawValue, sent.number, .random())
            }
            #expect(await web.refusal(.recallMessage(recall), token: token) == .forbidden)
            _ = try await web.pool.request(.recallMessage(recall), token: try await web.logIn("alice"))
            let leave = LinkLeaveThread.with { ($0.thread, $0.clientID) = (thread.rawValue, .random()) }
            _ = try await web.pool.request(.leaveThread(leave), token: token)
            let left = EntryContent.left(try await test.user("carol").id)
            await bob.until { $0.last?.content == left }
            await carol.until { $0.last?.content == left }
            _ = await alice.send("without carol", in: thread)
            await bob.until(text: "without carol")

            #expect(bob.entries.map(\.number) == [2, 3, 4, 5])
            #expect(bob.entries[1].content == .recalled(number: sent.number))
            #expect(carol.entries.map(\.number) == [2, 3, 4])
            #expect(await carol.send("still here", in: thread).refusal == .notFound)
        }
    }

    @Test("Who resumes after a recall does not get the text", arguments: TestEngine.allCases)
    func recalledMeanwhile(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let alice = try await web.session("alice")
            let token = try await web.logIn("bob")
            let before = await web.attach(token)
            before.link.close()
            let sent = try await alice.send("oops", in: thread).get()
            let recall = LinkRecallMessage.with {
                ($0.thread, $0.number, $0.clientID) = (thread.rawValue, sent.number, .random())
            }
            _ = try await web.pool.request(.recallMessage(recall), token: try await web.logIn("alice"))
            await alice.until { $0.last?.content == .recalled(number: sent.number) }

            let after = await web.attach(token, cursor: before.cursor)
            await after.until { $0.last?.content == .recalled(number: sent.number) }

            #expect(after.texts.isEmpty)
            #expect(after.entries.map(\.content) == [.recalledMessage, .recalled(number: sent.number)])
        }
    }

    @Test("A new thread and a new participant are live at once", arguments: TestEngine.allCases)
    func newcomers(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let web = try test.web(try await test.server())
            let token = try await web.logIn("alice")
            let (bob, carol) = (try await web.session("bob"), try await web.session("carol"))
            let ids = [try await test.user("bob").id.rawValue, try await test.user("carol").id.rawValue]
            let create = LinkCreateThread.with {
                ($0.subject, $0.participants, $0.clientID) = ("It's \"new\"", [ids[0]], .random())
            }
            let nul = LinkCreateThread.with { ($0.subject, $0.clientID) = ("a\u{0}b", .random()) }
            #expect(await web.refusal(.createThread(nul), token: token) == .badRequest)
            guard
                case .threadCreated(let created) = try await web.pool.request(
                    .createThread(create), token: token)
            else { throw UnexpectedAnswer() }
            let thread = MessageThread.ID(rawValue: created.thread.id)
            await bob.until { !$0.isEmpty }
            _ = try await web.post("before", in: thread, token: token)
            let add = LinkAddParticipants.with {
                ($0.thread, $0.users, $0.clientID) = (thread.rawValue, [ids[1]], .random())
            }
            _ = try await web.pool.request(.addParticipants(add), token: token)
            _ = try await web.post("after", in: thread, token: token)
            await carol.until(text: "after")
            await bob.until(text: "after")

            #expect(bob.entries.map(\.number) == [1, 2, 3, 4])
            #expect(carol.entries.map(\.number) == [3, 4])
            guard case .created(let subject, _)? = bob.entries.first?.content else {
                throw UnexpectedAnswer()
            }
            #expect(subject.open == "It's \"new\"")
        }
    }

    @Test(
        "A client id reused for another text is refused and stores nothing (F41)",
        arguments: TestEngine.allCases)
    func keyReused(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let alice = try await web.session("alice")
            let id = ClientID.random()

            let first = try await alice.send("one", in: thread, clientID: id).get()
            let other = await alice.send("two", in: thread, clientID: id)
            let again = try await alice.send("one", in: thread, clientID: id).get()

            #expect(other.refusal == .keyReused)
            #expect(again.replayed && again.position == first.position)
            #expect(try await test.texts() == ["one"])
            #expect(await alice.send("", in: thread).refusal == .empty)
            let long = String(repeating: "é", count: 32_769)
            #expect(await alice.send(long, in: thread).refusal == .tooLarge)
            #expect(await alice.send("nowhere", in: .random()).refusal == .notFound)
        }
    }
}
