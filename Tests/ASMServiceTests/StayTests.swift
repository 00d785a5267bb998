import Domain
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@Suite("A device that was offline while its user left and came back", .serialized)
struct StayTests {
    @Test(
        "It gets what was said in both stays, and nothing from between, from memory and from the database",
        arguments: TestEngine.allCases)
    func resume(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob", "carol")
            let web = try test.web(try await test.server())
            let alice = try await web.session("alice")
            let tablet = try await web.session("bob")
            let token = try await web.logIn("bob")
            let phone = await web.attach(token)
            _ = await alice.send("m2", in: thread)
            await phone.until(text: "m2")
            let position = phone.entries[0].position
            phone.link.close()

            _ = await alice.send("m3", in: thread)
            _ = await tablet.send("m4", in: thread)
            _ = await alice.send("m5", in: thread)
            let (bob, carol) = (try await test.user("bob"), try await test.user("carol"))
            let leave = LinkLeaveThread.with { ($0.thread, $0.clientID) = (thread.rawValue, .random()) }
            _ = try await web.pool.request(.leaveThread(leave), token: token)
            _ = await alice.send("between", in: thread)
            // Read while bob is away: receipts of his own message 4 among them.
            let reader = try await web.session("carol")
            reader.mark(thread, delivered: 7, read: 7)
            await alice.until { $0.contains(where: \.isReceipts) }
            let add = LinkAddParticipants.with {
                ($0.thread, $0.users, $0.clientID) = (thread.rawValue, [bob.id.rawValue], .random())
            }
            _ = try await web.pool.request(.addParticipants(add), token: try await web.logIn("alice"))
            await tablet.until { $0.last?.number == 8 }
            _ = await alice.send("m9", in: thread)
            await tablet.until(text: "m9")

            let cursor = LogCursor(epoch: phone.cursor.epoch, position: position)
            let fromMemory = await web.attach(token, cursor: cursor)
            let fresh = try test.web(try await test.server())
            let fromDatabase = await fresh.attach(token, cursor: cursor)
            for session in [fromMemory, fromDatabase] {
                await session.until(text: "m9")
                #expect(session.sink.events.value == [.attached(cursor, resync: false)])
                #expect(session.entries.filter { !$0.isReceipts }.map(\.number) == [3, 4, 5, 6, 8, 9])
                #expect(session.texts == ["m3", "m4", "m5", "m9"])
                let told = session.entries.compactMap { entry -> [Receipt]? in
                    guard case .receipts(let receipts) = entry.content else { return nil }
                    return receipts
                }
                #expect(!told.joined().contains { $0.user == carol.id })
            }
            #expect(tablet.entries.compactMap(\.number) == [2, 3, 5, 6, 8, 9])
            let wish = LinkGetHistory.with { ($0.thread, $0.limit) = (thread.rawValue, 100) }
            let answer = try await web.pool.request(.getHistory(wish), token: token)
            guard case .history(let history) = answer else { throw UnexpectedAnswer() }
            #expect(history.entries.map(\.number) == [1, 2, 3, 4, 5, 6, 8, 9])
            let read = LinkReadLog.with { $0.cursor = cursor }
            let polled = try await web.pool.request(.readLog(read), token: token)
            guard case .logPage(let page) = polled else { throw UnexpectedAnswer() }
            #expect(page.entries.map { LogEntry($0) }.compactMap(\.number) == [3, 4, 5, 6, 8, 9])
            let details = try await web.pool.request(
                .getThread(LinkGetThread.with { $0.thread = thread.rawValue }), token: token)
            guard case .thread(let view) = details else { throw UnexpectedAnswer() }
            let place = view.participants.first { $0.user.id == bob.id.rawValue }
            #expect(place?.earlier.map { [$0.joined, $0.left] } == [[1, 6]])
            #expect(place?.joined == 8)
        }
    }

    @Test(
        "Receipts for a thread that one is not in or that does not exist are refused, live ones stay silent",
        arguments: TestEngine.allCases)
    func foreignReceipts(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let (alice, bob) = (try await web.logIn("alice"), try await web.logIn("bob"))
            let carol = try await web.logIn("carol")
            func mark(_ thread: MessageThread.ID) -> LinkRequest.OneOf_Body {
                .markReceipt(LinkMarkReceipt.with { ($0.thread, $0.read) = (thread.rawValue, 1) })
            }

            #expect(await web.refusal(mark(thread), token: bob) == nil)
            #expect(await web.refusal(mark(thread), token: carol) == .notFound)
            #expect(await web.refusal(mark(.random()), token: bob) == .notFound)
            let live = await web.attach(bob)
            live.mark(.random(), read: 1)
            _ = try await web.post("hello", in: thread, token: alice)
            await live.until(text: "hello")
            #expect(live.sink.events.value.count == 1)
            // In memory by now.
            #expect(await web.refusal(mark(thread), token: bob) == nil)
            let leave = LinkLeaveThread.with { ($0.thread, $0.clientID) = (thread.rawValue, .random()) }
            _ = try await web.pool.request(.leaveThread(leave), token: bob)
            await live.until { $0.last?.number == 3 }
            #expect(await web.refusal(mark(thread), token: bob) == .notFound)
        }
    }
}
