import Domain
import PostgresDatabase
import SQLDatabase
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Resuming a session", .serialized)
struct ResumeTests {
    @Test(
        "What was missed comes first, from memory or from the database, then live",
        arguments: TestEngine.allCases)
    func catchUp(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let other = try await test.thread("alice", "carol")
            let first = try await test.server()
            let web = try test.web(first)
            let alice = try await web.session("alice")
            let token = try await web.logIn("bob")
            let before = await web.attach(token)
            before.link.close()
            for index in 0..<5 {
                _ = await alice.send("\(index)", in: thread)
                _ = await alice.send("not for bob", in: other)
            }

            let fromMemory = await web.attach(token, cursor: before.cursor)
            // A server that starts now has none of it in memory.
            let fresh = try test.web(try await test.server())
            let fromDatabase = await fresh.attach(token, cursor: before.cursor)
            _ = await alice.send("live", in: thread)

            for session in [fromMemory, fromDatabase] {
                await session.until(text: "live")
                #expect(session.texts == ["0", "1", "2", "3", "4", "live"])
                #expect(session.sink.events.value.count == 1)
                guard case .attached(_, resync: false)? = session.sink.events.value.first else {
                    Issue.record("\(session.sink.events.value)")
                    continue
                }
            }
        }
    }

    @Test(
        "A cursor of another log, beyond its end or too far back starts anew", arguments: TestEngine.allCases)
    func resync(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let token: [UInt8]
            do {
                let web = try test.web(try await test.server())
                token = try await web.logIn("bob")
            }
            try await test.fill(thread, by: "alice", count: 2_100)
            let head = try await test.store.head(of: test.customer.id)
            let cursor = try await test.cursor(at: head.position)
            let web = try test.web(try await test.server())

            for old in [
                LogCursor(epoch: .random(), position: 5), LogCursor(epoch: head.epoch, position: 0),
                LogCursor(epoch: head.epoch, position: head.position + 1),
                LogCursor(epoch: head.epoch, position: head.position - 2_001),
            ] {
                let session = await web.attach(token, cursor: old)
                #expect(session.sink.events.value == [.attached(cursor, resync: true)], "\(old.position)")
                #expect(session.entries.isEmpty)
            }
            let near = LogCursor(epoch: head.epoch, position: head.position - 2_000)
            let session = await web.attach(token, cursor: near)
            #expect(session.sink.events.value == [.attached(near, resync: false)])
            await session.until { $0.count == 2_000 }
            #expect(session.entries.map(\.position) == Array(near.position + 1...head.position))
        }
    }

    @Test("Too far back starts anew from memory as well", arguments: TestEngine.allCases)
    func resyncFromMemory(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let token = try await web.logIn("bob")
            let start = await web.attach(token)
            try await test.fill(thread, by: "alice", count: 2_001)
            await start.until { $0.count == 2_001 }

            let behind = await web.attach(token, cursor: start.cursor)
            let near = await web.attach(
                token, cursor: LogCursor(epoch: start.cursor.epoch, position: start.cursor.position + 1))

            #expect(behind.sink.events.value.first?.isResync == true)
            #expect(near.sink.events.value.first?.isResync == false)
            await near.until { $0.count == 2_000 }
            _ = try await web.post("live", in: thread, token: token)
            for session in [behind, near] { await session.until(text: "live") }
            #expect(behind.entries.count == 1)
        }
    }

    @Test(
        "18 MB of missed texts are not pushed but read in pages, and no page is longer than a frame",
        arguments: TestEngine.allCases)
    func longTexts(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let count = 300
            let thread = try await test.thread("alice", "bob")
            try await test.fill(
                thread, by: "alice", count: count, padding: String(repeating: "x", count: 60_000))
            let web = try test.web(try await test.server())
            let token = try await web.logIn("bob")
            let epoch = try await test.store.head(of: test.customer.id).epoch

            let session = await web.attach(token, cursor: LogCursor(epoch: epoch, position: 1))
            #expect(session.sink.events.value.map(\.isResync) == [true])

            var cursor = LogCursor(epoch: epoch, position: 1)
            var read: [LogPosition] = []
            while read.count < count {
                let wish = LinkReadLog.with { $0.cursor = cursor }
                let answer = try await web.pool.request(.readLog(wish), token: token)
                guard case .logPage(let page) = answer, !page.entries.isEmpty else {
                    throw UnexpectedAnswer()
                }
                read += page.entries.map(\.position)
                cursor = page.cursor
            }
            #expect(read == Array(2...LogPosition(count + 1)))

            var numbers: [EntryNumber] = []
            var before: EntryNumber = 0
            var hasMore = true
            while hasMore {
                let wish = LinkGetHistory.with {
                    $0.thread = thread.rawValue
                    $0.before = before
                    $0.limit = 500
                }
                let answer = try await web.pool.request(.getHistory(wish), token: token)
                guard case .history(let page) = answer, let first = page.entries.first else {
                    throw UnexpectedAnswer()
                }
                numbers = page.entries.map(\.number) + numbers
                before = first.number
                hasMore = page.more
            }
            #expect(numbers == Array(1...EntryNumber(count + 1)))
        }
    }

    @Test("A session that is revoked while it is being attached does not become live")
    func revokedMeanwhile() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let here = try test.web(try await test.server(on: connect()))
            let token = try await here.logIn("bob")
            let cursor = await here.attach(token).cursor
            try await test.fill(thread, by: "alice", count: 3)
            // It starts now and has nothing in memory: what the session missed is read from the database.
            let there = try test.web(try await test.server(on: connect()))
            let other = try connect()
            let session = try await test.attach(to: there, token, cursor: cursor, heldBy: other) {
                _ = try await here.pool.request(.logOut(LinkLogOut()), token: token)
                try await eventually("the other server has followed the log so far") {
                    await there.refusal(.whoAmI(LinkWhoAmI()), token: token) == .unauthenticated
                }
            }

            #expect(session.sink.events.value == [.ended(.unauthenticated)])
            session.link.close()
        }
    }

    @Test("Reading the log without a session gives the same", arguments: TestEngine.allCases)
    func readLog(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let token = try await web.logIn("alice")
            func read(_ cursor: LogCursor?) async throws -> LinkLogPage {
                let wish = LinkReadLog.with { $0.cursor = cursor }
                guard case .logPage(let page) = try await web.pool.request(.readLog(wish), token: token)
                else { throw UnexpectedAnswer() }
                return page
            }

            let start = try await read(nil).cursor
            _ = try await web.post("one", in: thread, token: token)
            let page = try await read(start)

            #expect(page.entries.map { LogEntry($0).text } == ["one"])
            #expect(page.cursor.position == start.position + 1)
            #expect(try await read(page.cursor).entries.isEmpty)
            #expect(try await read(LogCursor(epoch: .random(), position: 0)).resync)
            #expect(try await read(LogCursor(epoch: start.epoch, position: 99)).resync)
        }
    }
}

extension TestSession.Event {
    fileprivate var isResync: Bool {
        if case .attached(_, resync: true) = self { true } else { false }
    }
}
