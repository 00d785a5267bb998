import Domain
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@testable import ASMService

@Suite("A log that was restored from a backup, and nobody said so", .serialized)
struct RestoredLogTests {
    /// What a reader may say of where they stood, after 5 messages, a backup, 10 more, and the backup put back.
    enum Standing: CaseIterable {
        case before, atBackup, lost, withoutFingerprint, forged
    }

    /// How the 20 messages after the restore are found: in a server's memory, or in the database.
    enum Look: CaseIterable { case memory, database }

    @Test(
        "Who knew what was lost is told to load it anew, by attach and by poll; who did not just goes on",
        arguments: TestEngine.allCases, Look.allCases)
    func restored(_ engine: TestEngine, _ look: Look) async throws {
        try await withService(on: engine) { test in
            let past = try await Past(test)
            let serving = try await test.server()
            let web = try test.web(serving)
            let alice = try await web.logIn("alice")
            let live = try await web.session("carol")
            for index in 0..<20 { _ = try await web.post("new \(index)", in: past.thread, token: alice) }
            let asked = look == .memory ? web : try test.web(try await test.server())

            for standing in Standing.allCases {
                let cursor = past.cursor(standing)
                let session = await asked.attach(past.reader, cursor: cursor)
                let page = try await asked.readLog(from: cursor, past.reader)
                let isResync = standing == .lost || standing == .forged
                guard case .attached(_, let resync)? = session.sink.events.value.first else {
                    Issue.record("\(standing): \(session.sink.events.value)")
                    continue
                }
                #expect(resync == isResync, "\(standing)")
                #expect(page.resync == isResync, "\(standing)")
                #expect(page.otherLog == isResync, "\(standing)")
                let missed = isResync ? 0 : 25 - (past.cursors[standing.seen]?.position ?? 0) + past.first
                await session.until { $0.count >= Int(missed) }
                #expect(session.entries.count == Int(missed), "\(standing)")
                #expect(page.entries.count == Int(missed), "\(standing)")
                session.link.close()
            }

            // Everything is there for who loads it anew, and nobody else was bothered.
            let wish = LinkGetHistory.with {
                ($0.thread, $0.forward, $0.limit) = (past.thread.rawValue, true, 500)
            }
            guard
                case .history(let history) = try await asked.pool.request(
                    .getHistory(wish), token: past.reader)
            else { throw UnexpectedAnswer() }
            let texts = history.entries.compactMap { LogEntry($0).text }
            #expect(texts == (0..<5).map { "old \($0)" } + (0..<20).map { "new \($0)" })
            #expect(live.sink.events.value.count == 1)
            #expect(try await test.store.head(of: test.customer.id).epoch == past.epoch)
        }
    }

    @Test(
        "Who stands just where the restored log ends, or beyond it, is told so too",
        arguments: TestEngine.allCases
    )
    func level(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let past = try await Past(test)
            let web = try test.web(try await test.server())
            let beyond = await web.attach(past.reader, cursor: past.cursor(.lost))
            guard case .attached(let end, resync: true)? = beyond.sink.events.value.first else {
                Issue.record("\(beyond.sink.events.value)")
                return
            }
            #expect(end.fingerprint == past.cursors[5]?.fingerprint)

            let alice = try await web.logIn("alice")
            for index in 0..<10 { _ = try await web.post("new \(index)", in: past.thread, token: alice) }
            let level = await web.attach(past.reader, cursor: past.cursor(.lost))

            #expect(past.cursor(.lost).position == past.cursors[5].map { $0.position + 10 })
            guard case .attached(_, resync: true)? = level.sink.events.value.first else {
                Issue.record("\(level.sink.events.value)")
                return
            }
        }
    }

    @Test(
        "A web process that moves its sessions to a server of the restored log learns it of each of them",
        arguments: TestEngine.allCases)
    func moved(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let old = try await test.server()
            let port = try LoopbackPort.free()
            let web = try test.web(at: [old.address, BindAddress(host: "127.0.0.1", port: port)])
            let carol = try await web.session("carol")
            try await test.fill(thread, by: "alice", count: 5)
            let kept = try await test.store.head(of: test.customer.id)
            let bob = try await web.session("bob")
            try await test.fill(thread, by: "alice", count: 10)
            await bob.until { $0.count >= 10 }
            await old.stop()
            try await test.lose(after: kept, in: thread, count: 10)
            try await test.fill(thread, by: "alice", count: 20)
            _ = try await test.server(port: port)
            for session in [bob, carol] { await session.sink.servers.until { $0.count == 2 } }

            #expect(bob.sink.events.value.last == .resync(try await test.cursor(at: kept.position + 20)))
            #expect(bob.sink.otherLog.value == true)
            // She stood before the backup.
            #expect(carol.sink.events.value.count == 1)
            #expect(try await test.store.head(of: test.customer.id).epoch == kept.epoch)
        }
    }

    @Test(
        "A cursor that is too far behind and of another history is said to be of another history",
        arguments: TestEngine.allCases)
    func far(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let past = try await Past(test)
            try await test.fill(past.thread, by: "alice", count: Int(CustomerFeed.catchUpSpan) + 100)
            let web = try test.web(try await test.server())
            let sink = OtherLogSink()
            let session = web.pool.open(token: past.reader, cursor: past.cursor(.lost), sink: sink)
            await sink.attached.until { $0 != nil }

            #expect(sink.attached.value?.resync == true)
            #expect(sink.attached.value?.otherLog == true)
            session.close()
        }
    }

    @Test(
        "Every answer that has a cursor has the fingerprint of the entry there",
        arguments: TestEngine.allCases)
    func everyAnswer(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server())
            let alice = try await web.session("alice")
            let token = try await web.logIn("bob")
            _ = await alice.send("one", in: thread)
            alice.mark(thread, delivered: 2, read: 2)
            // A control entry, which nobody is shown, is the last one.
            _ = try await web.pool.request(.logOut(LinkLogOut()), token: try await web.logIn("carol"))
            let bob = await web.attach(token)
            let empty = try await web.readLog(from: nil, token)
            let quiet = try await web.readLog(from: empty.cursor, token)
            guard case .inbox(let inbox) = try await web.pool.request(.getInbox(LinkGetInbox()), token: token)
            else { throw UnexpectedAnswer() }

            let entries = try await test.store.entries(of: test.customer.id, after: 0, limit: 100)
            for cursor in [bob.cursor, empty.cursor, quiet.cursor, inbox.cursor] {
                let entry = try #require(entries.first { $0.position == cursor.position })
                #expect(cursor.fingerprint == CursorFingerprint(entry.mark))
            }
            // A page that is cut ends at its own last entry.
            let cut = try await web.readLog(
                from: LogCursor(epoch: empty.cursor.epoch, position: 0), token, limit: 1)
            #expect(cut.cursor.fingerprint == CursorFingerprint(entries[0].mark))
            #expect(cut.cursor.position == entries[0].position)
        }
    }
}

/// What happened before the restore: the cursors of a reader after so many messages.
private struct Past {
    let thread: MessageThread.ID
    let reader: [UInt8]
    let epoch: LogEpoch
    /// The entries before the first message.
    let first: LogPosition
    private(set) var cursors: [Int: LogCursor] = [:]

    init(_ test: ServiceUnderTest) async throws {
        thread = try await test.thread("alice", "bob")
        let server = try await test.server()
        let web = try test.web(server)
        let alice = try await web.logIn("alice")
        reader = try await web.logIn("bob")
        first = try await test.store.head(of: test.customer.id).position
        for count in 1...15 {
            if count == 6 { kept = try await test.store.head(of: test.customer.id) }
            _ = try await web.post(count > 5 ? "lost \(count)" : "old \(count - 1)", in: thread, token: alice)
            cursors[count] = try await web.readLog(from: nil, reader).cursor
        }
        epoch = try #require(kept).epoch
        await server.stop()
        try await test.lose(after: try #require(kept), in: thread, count: 10)
    }

    private var kept: LogHead?

    func cursor(_ standing: RestoredLogTests.Standing) -> LogCursor {
        let cursor = cursors[standing.seen] ?? LogCursor(epoch: epoch, position: 0)
        switch standing {
        case .before, .atBackup, .lost: return cursor
        case .withoutFingerprint: return LogCursor(epoch: epoch, position: cursor.position)
        case .forged:
            return LogCursor(
                epoch: epoch, position: cursor.position, fingerprint: CursorFingerprint(rawValue: 4_711))
        }
    }
}

extension RestoredLogTests.Standing {
    /// After how many messages.
    fileprivate var seen: Int {
        switch self {
        case .before, .forged: 3
        case .atBackup: 5
        case .lost, .withoutFingerprint: 15
        }
    }
}

/// Keeps how a session was attached.
private final class OtherLogSink: LinkSessionSink {
    let attached = Watched<LinkAttached?>(nil)

    func attached(_ attached: LinkAttached) { self.attached.change { $0 = attached } }
    func moved(to server: BindAddress) {}
    func resync(at cursor: LogCursor, otherLog: Bool) {}
    func ended(_ refusal: Refusal) {}
}

extension WebProcess {
    fileprivate func readLog(
        from cursor: LogCursor?, _ token: [UInt8], limit: UInt32 = 0
    ) async throws -> LinkLogPage {
        let wish = LinkReadLog.with { ($0.cursor, $0.limit) = (cursor, limit) }
        guard case .logPage(let page) = try await pool.request(.readLog(wish), token: token)
        else { throw UnexpectedAnswer() }
        return page
    }
}
