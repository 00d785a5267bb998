import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Who may claim a slot", .serialized)
struct SlotClaimTests {
    @Test("Whoever changes slots waits for whoever else does; a try that cannot succeed waits for nobody")
    func oneAtATime() async throws {
        try await withStore(on: .postgres) { test in
            let other = try await test.register(["b:1"])[0]
            let lost = try #require(other.fence)
            try await test.limit(servers: 1)
            let store = test.store
            let changes: [@Sendable () async throws -> Void] = [
                { _ = try await store.register(address: "c:1", version: "1") },
                { _ = try await store.claimSlot(other.identity, lost: lost) },
                { _ = try await store.enforceSlotLimit() },
                { try await store.stopped(other.identity) },
            ]
            for change in changes {
                let (locked, lock) = AsyncStream.makeStream(of: Void.self)
                let release = Gate()
                async let holder: Void = store.database.write { session in
                    try session.run("SELECT 1 FROM installation WHERE single = 1 FOR UPDATE")
                    lock.finish()
                    while !release.opens(withinMilliseconds: 200) { try session.run("SELECT 1") }
                }
                for await _ in locked {}

                #expect(try await store.claimSlot(other.identity) == nil)
                async let changed: Void = change()
                try await test.untilWaiting(1)
                release.open()

                try await holder
                try await changed
            }
        }
    }

    @Test(
        "A server that starts anew under an expired licence gets its slot only if that is the first",
        arguments: TestEngine.allCases)
    func beyondTheLimit(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.limit(servers: 2)
            #expect(try await test.register(["b:1"])[0].fence?.slot == 2)
            try await test.store.database.query("UPDATE licence SET expires_at = \(.now) - 1")

            let again = try await test.register(["b:1", "a:1"])

            #expect(again[0].fence == nil)
            #expect(again[1].fence?.slot == 1)
            #expect(try await test.events("Server Unlicensed") == 1)
        }
    }

    @Test("No server that starts takes the slot of one that has come back, or is silent but not inactive")
    func newcomer() async throws {
        try await withStore(on: .postgres) { test in
            try await test.limit(servers: 1)
            let waiting = try await test.register(["b:1"])[0]
            try await test.age(test.server.identity, seconds: 700)
            let silent = try #require(try await test.store.servers().first { $0.address == "a:1" })
            #expect(try await test.store.openIncident(.inactive, against: silent, by: waiting.identity))
            _ = try await test.store.beat(test.server.identity, state: "active")

            #expect(try await test.register(["c:1"])[0].fence == nil)

            try await test.store.database.query("UPDATE incident SET closed_at = \(.now)")
            try await test.age(test.server.identity, seconds: 60)
            #expect(try await test.register(["d:1"])[0].fence == nil)
            #expect(try await test.store.beat(test.server.identity, state: "active")?.fence == test.fence)
        }
    }

    @Test(
        "A process that was superseded is told so by its beat, and its end frees nothing",
        arguments: TestEngine.allCases)
    func superseded(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let new = try await test.register(["a:1"])[0]

            #expect(try await test.store.beat(test.server.identity, state: "active") == nil)
            try await test.store.stopped(test.server.identity)

            let answer = try await test.store.beat(new.identity, state: "active")
            #expect(answer?.fence == new.fence)
            #expect(try await test.store.servers().map(\.stoppedAt) == [nil])
        }
    }

    @Test("The slot of a server that was removed is free at once", arguments: TestEngine.allCases)
    func removed(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.limit(servers: 1)
            let waiting = try await test.register(["b:1"])[0]
            #expect(waiting.fence == nil)
            try await test.age(test.server.identity, seconds: 60)

            try await test.store.removeServer("a:1")

            #expect(try await test.store.claimSlot(waiting.identity)?.slot == 1)
        }
    }
}
