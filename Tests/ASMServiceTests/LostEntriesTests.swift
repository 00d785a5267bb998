import Domain
import PostgresDatabase
import SQLDatabase
import ServiceLink
import Store
import TestSupport
import Testing

@Suite("A database that has lost entries", .serialized)
struct LostEntriesTests {
    @Test(
        "The log begins a new epoch, live sessions are told to load it anew, and what comes then reaches them",
        arguments: TestEngine.allCases)
    func lost(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let alice = try await test.web(try await test.server()).session("alice")
            let bob = try await test.web(try await test.server()).session("bob")
            _ = await alice.send("kept", in: thread)
            let kept = try await test.store.head(of: test.customer.id)
            for index in 0..<3 { _ = await alice.send("lost \(index)", in: thread) }
            await bob.until(text: "lost 2")

            try await test.lose(after: kept, in: thread, count: 3)
            for session in [alice, bob] { await session.untilResync() }
            _ = await alice.send("new", in: thread)
            await bob.until(text: "new")

            let now = try await test.store.head(of: test.customer.id)
            #expect(now.epoch != kept.epoch)
            #expect(bob.entries.last?.position == kept.position + 1)
            let expected = try await test.cursor(at: kept.position)
            #expect(bob.sink.events.value.contains(.resync(expected)))
        }
    }
    @Test("A session that is still catching up when the loss is found loads the log anew like the others")
    func whileCatchingUp() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let here = try test.web(try await test.server(on: connect()))
            let token = try await here.logIn("bob")
            let cursor = await here.attach(token).cursor
            try await test.fill(thread, by: "alice", count: 3)
            let kept = try await test.store.head(of: test.customer.id)
            try await test.fill(thread, by: "alice", count: 3)
            // It starts now and has nothing in memory: what the session missed is read from the database.
            let there = try test.web(try await test.server(on: connect()))
            let live = await there.attach(token)
            let other = try connect()
            let session = try await test.attach(to: there, token, cursor: cursor, heldBy: other) {
                try await test.lose(after: kept, in: thread, count: 3)
                await live.untilResync()
            }

            let now = try await test.store.head(of: test.customer.id)
            #expect(now.epoch != kept.epoch)
            let end = try await test.cursor(at: kept.position)
            #expect(session.sink.events.value == [.attached(end, resync: true)])
            session.link.close()
        }
    }
}

extension ServiceUnderTest {
    /// Takes the log's last entries away, as after a failover to a standby that did not have them.
    func lose(after kept: LogHead, in thread: MessageThread.ID, count: Int64) async throws {
        try await store.database.write { session in
            try session.run("DELETE FROM entry WHERE position > \(kept.position)")
            try session.run("UPDATE log_head SET head = \(kept.position)")
            try session.run(
                """
                UPDATE thread SET last_number = last_number - \(count), last_position = \(kept.position),
                    last_shown_position = \(kept.position)
                WHERE id = \(thread)
                """)
        }
    }
}

extension TestSession {
    /// Waits until it was told, while live, to load its log anew.
    func untilResync() async {
        await sink.events.until { events in
            events.contains { if case .resync = $0 { true } else { false } }
        }
    }
}
