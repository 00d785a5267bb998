import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Incidents of servers", .serialized)
struct IncidentTests {
    @Test("Of twelve observers one opens the incident; the event is raised once")
    func race() async throws {
        try await withStore(on: .postgres) { test in
            let observers = try await test.register((0..<12).map { "o\($0):1" })
            let silent = try await test.silent(for: 700)

            let opened = try await withThrowingTaskGroup(of: Bool.self) { group in
                for observer in observers {
                    group.addTask {
                        try await test.store.openIncident(.inactive, against: silent, by: observer.identity)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }

            #expect(opened.count { $0 } == 1)
            #expect(try await test.store.incidents(of: silent.id).count == 1)
            #expect(try await test.events("Server Inactive") == 1)
        }
    }

    @Test("One mail for each address that wants it, whoever opens it")
    func mails() async throws {
        try await withStore(on: .postgres) { test in
            let observers = try await test.register(["b:1", "c:1"])
            try await test.store.database.query(
                """
                INSERT INTO mail_entry (id, event, recipients, sender, subject, server, port, login, password,
                    use_tls, encrypted, created_at)
                VALUES (1, NULL, 'a@x.example,b@x.example', 'asm@x.example', '', 'mail', 25, '', '', 0, 0, 0)
                """)
            let silent = try await test.silent(for: 700)
            for _ in 0..<3 {
                for observer in observers {
                    _ = try await test.store.openIncident(.inactive, against: silent, by: observer.identity)
                }
            }

            let mails = try await test.store.database.query(
                "SELECT recipient FROM mail_outbox WHERE event = 'Server Inactive' ORDER BY recipient")
            #expect(try mails.map { try $0.string(0) } == ["a@x.example", "b@x.example"])
        }
    }

    @Test("None while Last Active is not older than ten minutes", arguments: TestEngine.allCases)
    func tooEarly(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let observer = try await test.register(["b:1"])[0].identity

            let young = try await test.silent(for: 595)
            #expect(try await test.store.openIncident(.inactive, against: young, by: observer) == false)
            let old = try await test.silent(for: 10)
            #expect(try await test.store.openIncident(.inactive, against: old, by: observer))
        }
    }

    @Test(
        "None when it has beaten since it was looked at, or was started anew", arguments: TestEngine.allCases)
    func cameBack(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let observer = try await test.register(["b:1"])[0].identity
            let seen = try await test.silent(for: 700)
            let beat = try await test.store.beat(test.server.identity, state: "active")
            #expect(beat != nil)
            #expect(try await test.store.openIncident(.inactive, against: seen, by: observer) == false)

            let again = try await test.silent(for: 700)
            _ = try await test.store.register(address: "a:1", version: "1")
            #expect(try await test.store.openIncident(.inactive, against: again, by: observer) == false)
        }
    }

    @Test(
        "None by an observer that is itself stale or superseded, nor by a server against itself",
        arguments: TestEngine.allCases)
    func unfitObservers(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let stale = try await test.register(["b:1"])[0].identity
            let superseded = try await test.register(["c:1"])[0].identity
            _ = try await test.register(["c:1"])
            let silent = try await test.silent(for: 700)
            try await test.age(stale, seconds: 100)

            for observer in [stale, superseded, test.server.identity] {
                #expect(
                    try await test.store.openIncident(.inactive, against: silent, by: observer) == false)
            }
            _ = try await test.store.beat(stale, state: "active", isActive: true)
            #expect(try await test.store.openIncident(.inactive, against: silent, by: stale))
        }
    }

    @Test("A jump of the database's clock makes every observer stale, until it has written its own time")
    func clockJump() async throws {
        try await withStore(on: .postgres) { test in
            let observer = try await test.register(["b:1"])[0].identity
            // The clock goes on by 11 minutes: to it, everything happened so long ago.
            try await test.age(test.server.identity, seconds: 660)
            try await test.age(observer, seconds: 660)
            let seen = try #require(try await test.store.servers().first { $0.address == "a:1" })
            #expect(try await test.store.openIncident(.inactive, against: seen, by: observer) == false)

            // Both live on: by the time that the observer is fresh, the other one has beaten too.
            _ = try await test.store.beat(observer, state: "active", isActive: true)
            _ = try await test.store.beat(test.server.identity, state: "active")
            #expect(try await test.store.openIncident(.inactive, against: seen, by: observer) == false)
        }
    }

    @Test(
        "A closed incident makes room for the next one; both kinds stand side by side",
        arguments: TestEngine.allCases)
    func again(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let observer = try await test.register(["b:1"])[0].identity
            func open(_ kind: IncidentKind) async throws -> Bool {
                let silent = try await test.silent(for: 700)
                return try await test.store.openIncident(kind, against: silent, by: observer)
            }
            #expect(try await open(.unreachable))
            #expect(try await open(.inactive))
            #expect(try await open(.unreachable) == false)
            #expect(
                try await test.store.servers().first { $0.address == "a:1" }?.incidents
                    == [.inactive, .unreachable])

            let other = ServerIdentity(server: test.server.identity.server, boot: .random())
            try await test.store.closeIncidents([.inactive], of: other)
            #expect(try await open(.inactive) == false)
            try await test.store.closeIncidents([.inactive], of: test.server.identity)
            #expect(try await open(.inactive))

            let incidents = try await test.store.incidents(of: test.server.identity.server)
            #expect(incidents.map(\.kind).count { $0 == .inactive } == 2)
            #expect(incidents.count { $0.closedAt == nil } == 2)
            #expect(try await test.events("Server Inactive") == 2)
            #expect(try await test.events("Server Unreachable") == 1)
        }
    }

    @Test("Whoever removes a server closes what is open against it", arguments: TestEngine.allCases)
    func removal(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let observer = try await test.register(["b:1"])[0].identity
            let silent = try await test.silent(for: 700)
            #expect(try await test.store.openIncident(.inactive, against: silent, by: observer))

            try await test.store.removeServer("a:1")

            #expect(try await test.store.incidents(of: silent.id).allSatisfy { $0.closedAt != nil })
            #expect(try await test.store.servers().map(\.address) == ["b:1"])
        }
    }

    @Test(
        "A server is shown as it is: what it says while it beats, and then what is known",
        arguments: TestEngine.allCases)
    func states(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            func state() async throws -> String? { try await test.store.servers().first?.state() }
            #expect(try await state() == "starting")
            _ = try await test.store.beat(test.server.identity, state: "degraded", reason: "Why.")
            #expect(try await state() == "degraded")
            #expect(try await test.store.servers().first?.reason == "Why.")
            try await test.age(test.server.identity, seconds: 16)
            #expect(try await state() == "unreachable")
            try await test.store.stopped(test.server.identity)
            #expect(try await state() == "stopped")
            #expect(try await test.store.servers().first?.slot == nil)
            _ = try await test.store.register(address: "a:1", version: "2")
            #expect(try await state() == "starting")
            #expect(try await test.store.servers().first?.slot == 1)
        }
    }
}

extension StoreUnderTest {
    /// Lets the test's own server be silent for so much longer, and answers how an observer sees it.
    func silent(for seconds: Int64) async throws -> ServerRecord {
        try await age(server.identity, seconds: seconds)
        return try await store.servers().first { $0.id == server.identity.server }
            .orThrow(StoreError.noSuchServer("a:1"))
    }
}

extension Optional {
    fileprivate func orThrow(_ error: any Error) throws -> Wrapped {
        guard let self else { throw error }
        return self
    }
}
