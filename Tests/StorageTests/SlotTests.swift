import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("High Availability slots", .serialized)
struct SlotTests {
    @Test("Ten servers that start at once with two licences: two get a slot, eight are told once each (F35)")
    func race() async throws {
        try await withStore(on: .postgres) { test in
            try await test.limit(servers: 2)
            try await test.store.stopped(test.server.identity)

            var started: [RegisteredServer] = []
            for round in 1...5 {
                for server in started { try await test.store.stopped(server.identity) }
                started = try await withThrowingTaskGroup(of: RegisteredServer.self) { group in
                    for index in 0..<10 {
                        group.addTask { try await test.store.register(address: "s\(index):1", version: "1") }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }

                #expect(Set(started.compactMap(\.fence).map(\.slot)) == [1, 2])
                #expect(started.count { $0.fence != nil } == 2)
                for server in started {
                    let answer = try await test.store.beat(server.identity, state: "active")
                    #expect(answer?.fence == server.fence)
                }
                #expect(try await test.events("Server Unlicensed") == 8 * Int64(round))
            }
            let tries = try await withThrowingTaskGroup(of: ServerFence?.self) { group in
                for server in started where server.fence == nil {
                    group.addTask { try await test.store.claimSlot(server.identity) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(tries.allSatisfy { $0 == nil })
            #expect(try await test.events("Server Unlicensed") == 40)
        }
    }

    @Test("When a slot is given back, exactly one of those that wait gets it", arguments: TestEngine.allCases)
    func oneOfManyGetsIt(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.limit(servers: 1)
            let waiting = try await test.register(["b:1", "c:1", "d:1"])
            #expect(waiting.allSatisfy { $0.fence == nil })

            try await test.store.stopped(test.server.identity)
            let got = try await withThrowingTaskGroup(of: ServerFence?.self) { group in
                for server in waiting { group.addTask { try await test.store.claimSlot(server.identity) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            #expect(got.count { $0 != nil } == 1)
            #expect(got.compactMap { $0 }.first?.token ?? 0 > test.fence.token)
        }
    }

    @Test("A server that starts anew has its slot back, under another token", arguments: TestEngine.allCases)
    func ownSlot(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await test.register(["b:1"])

            let again = try #require(try await test.store.register(address: "a:1", version: "2").fence)

            #expect(again.slot == test.fence.slot)
            #expect(again.token > test.fence.token)
        }
    }

    @Test("A smaller licence voids the highest slots, and those alone (F36)", arguments: TestEngine.allCases)
    func shrink(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let others = try await test.register(["b:1", "c:1"])
            let fences = try others.map { try #require($0.fence) }
            let thread = try await test.thread(test.alice, test.bob)
            #expect(fences.map(\.slot) == [2, 3])

            try await test.limit(servers: 2)

            #expect(try await test.store.enforceSlotLimit() == [])
            try await test.append([test.message("1", in: thread, by: test.alice)])
            try await test.append([test.message("2", in: thread, by: test.alice)], fence: fences[0])
            await #expect(throws: StoreError.superseded) {
                try await test.append([test.message("3", in: thread, by: test.alice)], fence: fences[1])
            }
            await #expect(throws: StoreError.superseded) {
                try await test.change(.leave(thread), by: test.bob, fence: fences[1])
            }
            #expect(try await test.store.claimSlot(others[1].identity, lost: fences[1]) == nil)
            #expect(try await test.store.claimSlot(others[1].identity, lost: fences[1]) == nil)
            #expect(try await test.events("Server Unlicensed") == 1)
            #expect(try await test.log().compactMap(\.text) == ["1", "2"])
        }
    }

    @Test("A beat tells that slots exceed the limit: a licence that expires leaves one server, the lowest")
    func expiry() async throws {
        try await withStore(on: .postgres) { test in
            let other = try await test.register(["b:1"])[0]
            try await test.limit(servers: 2)
            try await test.store.database.query("UPDATE licence SET expires_at = \(.now) + 3600000000")
            let before = try await test.store.beat(test.server.identity, state: "active")
            #expect(before?.slotsExceedLimit == false)

            try await test.store.database.query("UPDATE licence SET expires_at = \(.now) - 1")

            let after = try await test.store.beat(test.server.identity, state: "active")
            #expect(after?.slotsExceedLimit == true)
            #expect(after?.slotLimit == 1)
            #expect(after?.fence == test.fence)
            #expect(try await test.store.enforceSlotLimit() == [other.identity.server])
            #expect(
                try await test.store.beat(test.server.identity, state: "active")?.slotsExceedLimit == false)
            let thread = try await test.thread(test.alice, test.bob)
            #expect(try await test.say("it goes on", in: thread, by: test.alice).number == 2)
        }
    }

    @Test(
        "A limit that shrinks leaves the server that lives, not the number of one that is dead",
        arguments: TestEngine.allCases)
    func shrinkBesideTheDead(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let living = try await test.register(["b:1"])[0]
            let fence = try #require(living.fence)
            try await test.age(test.server.identity, seconds: 60)

            try await test.limit(servers: 1)

            let again = try #require(try await test.store.claimSlot(living.identity, lost: fence))
            #expect(again.slot == test.fence.slot)
            #expect(try await test.events("Server Unlicensed") == 0)
            let create = ThreadChange.create(
                .random(), subject: "Alive", participants: [test.alice.id, test.bob.id])
            let thread = try await test.change(create, by: test.alice, fence: again).thread
            await #expect(throws: StoreError.superseded) {
                try await test.append([test.message("from the grave", in: thread, by: test.alice)])
            }
        }
    }

    @Test("The slot of a server that is inactive goes to one that waits; when it wakes, it appends nothing")
    func fromTheInactive() async throws {
        try await withStore(on: .postgres) { test in
            try await test.limit(servers: 1)
            let thread = try await test.thread(test.alice, test.bob)
            let waiting = try await test.register(["b:1"])[0]
            try await test.age(test.server.identity, seconds: 700)
            #expect(try await test.store.claimSlot(waiting.identity) == nil)
            let silent = try #require(try await test.store.servers().first { $0.address == "a:1" })
            #expect(try await test.store.openIncident(.inactive, against: silent, by: waiting.identity))

            let fence = try #require(try await test.store.claimSlot(waiting.identity))

            #expect(fence.slot == test.fence.slot)
            await #expect(throws: StoreError.superseded) {
                try await test.say("from the grave", in: thread, by: test.alice)
            }
            let woken = try await test.store.beat(test.server.identity, state: "active")
            #expect(woken != nil)
            #expect(woken?.fence == nil)
            #expect(
                try await test.append([test.message("alive", in: thread, by: test.alice)], fence: fence)
                    .outcomes[0].get().number == 2)
        }
    }

    @Test("A server that has come back keeps its slot, though its outage is not over yet")
    func cameBack() async throws {
        try await withStore(on: .postgres) { test in
            try await test.limit(servers: 1)
            let waiting = try await test.register(["b:1"])[0]
            try await test.age(test.server.identity, seconds: 700)
            let silent = try #require(try await test.store.servers().first { $0.address == "a:1" })
            #expect(try await test.store.openIncident(.inactive, against: silent, by: waiting.identity))

            _ = try await test.store.beat(test.server.identity, state: "active")

            #expect(try await test.store.claimSlot(waiting.identity) == nil)
        }
    }

    @Test(
        "Only a server that is gone can be removed or lose its slot unforced", arguments: TestEngine.allCases)
    func administrator(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let thread = try await test.thread(test.alice, test.bob)
            await #expect(throws: StoreError.serverIsRunning("a:1")) {
                try await test.store.removeServer("a:1")
            }
            await #expect(throws: StoreError.serverIsRunning("a:1")) {
                try await test.store.releaseSlot(of: "a:1", evenRunning: false)
            }
            await #expect(throws: StoreError.noSuchServer("z:1")) {
                try await test.store.removeServer("z:1")
            }

            #expect(try await test.store.releaseSlot(of: "a:1", evenRunning: true) == 1)
            await #expect(throws: StoreError.noSlot("a:1")) {
                try await test.store.releaseSlot(of: "a:1", evenRunning: true)
            }
            await #expect(throws: StoreError.superseded) {
                try await test.say("without a slot", in: thread, by: test.alice)
            }
            try await test.age(test.server.identity, seconds: 60)
            try await test.store.removeServer("a:1")

            #expect(try await test.store.servers() == [])
            #expect(try await test.store.beat(test.server.identity, state: "active") == nil)
            await #expect(throws: StoreError.superseded) {
                try await test.store.claimSlot(test.server.identity)
            }
        }
    }

    @Test("A transfer of a slot waits for the append that has proved it")
    func appendFirst() async throws {
        try await withStore(on: .postgres) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let (locked, lock) = AsyncStream.makeStream(of: Void.self)
            let release = Gate()
            async let holder: Void = test.store.database.write { session in
                try session.run("SELECT 1 FROM log_head WHERE customer_id = \(test.customer.id) FOR UPDATE")
                lock.finish()
                while !release.opens(withinMilliseconds: 200) { try session.run("SELECT 1") }
            }
            for await _ in locked {}

            // It has proved its slot, and waits for the log.
            async let early = test.append([test.message("early", in: thread, by: test.alice)]).outcomes[0]
            try await test.untilWaiting(1)
            async let transfer = test.store.releaseSlot(of: "a:1", evenRunning: true)
            try await test.untilWaiting(2)
            #expect(try await test.store.servers()[0].slot == 1)
            release.open()

            #expect(try await early.get().number == 2)
            #expect(try await transfer == 1)
            try await holder
            await #expect(throws: StoreError.superseded) {
                try await test.say("late", in: thread, by: test.alice)
            }
            #expect(try await test.log().compactMap(\.text) == ["early"])
        }
    }

    @Test("An append that comes during a transfer waits for it, and is refused")
    func transferFirst() async throws {
        try await withStore(on: .postgres) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let (locked, lock) = AsyncStream.makeStream(of: Void.self)
            let release = Gate()
            async let transfer: Void = test.store.database.write { session in
                try session.run("UPDATE ha_slot SET server_id = NULL, token = token + 1 WHERE slot = 1")
                lock.finish()
                // Not idle for long: PostgreSQL ends transactions that are.
                while !release.opens(withinMilliseconds: 200) { try session.run("SELECT 1") }
            }
            for await _ in locked {}

            async let append: Void = expectSuperseded {
                try await test.append([test.message("late", in: thread, by: test.alice)])
            }
            try await test.untilWaiting(1)
            async let change: Void = expectSuperseded {
                try await test.change(.leave(thread), by: test.bob)
            }
            try await test.untilWaiting(2)
            release.open()

            try await transfer
            await append
            await change
            #expect(try await test.head == 1)
        }
    }

    private func expectSuperseded(_ work: () async throws -> Void) async {
        await #expect(throws: StoreError.superseded) { try await work() }
    }

    @Test("Beats go on while appends hold the slot, and appends while beats are written")
    func beatsDoNotContend() async throws {
        try await withStore(on: .postgres) { test in
            let (locked, lock) = AsyncStream.makeStream(of: Void.self)
            let release = Gate()
            async let append: Void = test.store.database.write { session in
                try session.run("SELECT 1 FROM ha_slot WHERE slot = 1 FOR SHARE")
                lock.finish()
                while !release.opens(withinMilliseconds: 200) { try session.run("SELECT 1") }
            }
            for await _ in locked {}

            let answer = try await test.store.beat(test.server.identity, state: "active")
            release.open()

            #expect(answer?.fence == test.fence)
            try await append
        }
    }

    @Test("Servers of the version before, which know no slots, go on beside new ones")
    func oldServers() async throws {
        try await withStore(on: .postgres) { test in
            let thread = try await test.thread(test.alice, test.bob)
            let message = test.message("from an old server", in: thread, by: test.alice)
            let boot = Token128.random()
            try await test.store.database.query(
                """
                INSERT INTO server (id, address, version, boot, started_at, last_active)
                VALUES (7, 'old:1', '0.1.0', \(boot), \(.now), \(.now))
                """)

            let empty: [Int64] = []
            let rows = try await test.store.database.query(
                """
                SELECT o_outcome, o_position FROM asm_append(
                    7, \(boot.bytes), \(test.customer.id), \([message.clientID.bytes]),
                    \([thread.rawValue]), \([test.alice.id.rawValue]), \([test.device.rawValue]), \([Int64(0)]),
                    \([message.hash]), \(SQLValue.textBlobs([message.text])), \(empty), \(empty), \(empty), \(empty))
                """)

            #expect(try rows[0].int(0) == 0)
            #expect(try await test.log().compactMap(\.text) == ["from an old server"])
            let old = try #require(try await test.store.servers().first { $0.address == "old:1" })
            #expect(old.state() == "active")
            #expect(old.slot == nil)
        }
    }
}

extension StoreUnderTest {
    /// Installs a licence for so many servers.
    func limit(servers: Int64?, users: Int64? = nil) async throws {
        let status = try await store.licence()
        let terms = LicenceTerms(
            installation: status.installation, licensee: "Acme", servers: servers, users: users,
            issuedAt: status.now)
        _ = try await store.installLicence(LicenceIssuer().issue(terms))
    }

    func register(_ addresses: [String]) async throws -> [RegisteredServer] {
        var servers: [RegisteredServer] = []
        for address in addresses {
            servers.append(try await store.register(address: address, version: "1"))
        }
        return servers
    }

    /// Makes it so long ago that a server was heard of.
    func age(_ identity: ServerIdentity, seconds: Int64) async throws {
        try await store.database.query(
            """
            UPDATE server SET last_active = last_active - \(seconds * 1_000_000),
                beat_at = beat_at - \(seconds * 1_000_000) WHERE id = \(identity.server)
            """)
    }

    /// How often an event is in the log.
    func events(_ name: String) async throws -> Int64 {
        try await store.database.query("SELECT count(*) FROM event_log WHERE event = \(name)")[0].int(0)
    }

    /// Waits until so many statements of this database wait for locks.
    func untilWaiting(_ count: Int) async throws {
        let patience = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < patience {
            // On a connection of its own: statements of one connection wait for each other.
            let waiting = try await store.database.read { session in
                try session.run(
                    """
                    SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'
                    """)
            }
            if waiting.count >= count { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("fewer than \(count) statements wait for a lock")
    }
}
