import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("What is told of the licence", .serialized)
struct LicenceEventTests {
    private static let day: Int64 = 86_400 * 1_000_000

    /// What was told since the last call.
    private func told(_ test: StoreUnderTest) async throws -> [String] {
        let events = try await test.store.loggedEvents(limit: 100)
        try await test.store.database.query("DELETE FROM event_log")
        return events.map { "\($0.event): \($0.summary)" }
    }

    private func add(_ login: String, _ test: StoreUnderTest) async throws {
        _ = try await test.store.addUser(
            login: login, name: login, passwordHash: Sealed("x"), to: test.customer.id)
    }

    @Test(
        "Its end is told once at 30, 7 and 1 days and when it has come, whoever looks",
        arguments: TestEngine.allCases)
    func expiration(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.store.checkLicence(every: 0)
            #expect(try await told(test) == [], "without a licence there is nothing to tell")
            var terms = try await test.terms()
            terms.expiresAt = Timestamp(microseconds: terms.issuedAt.microseconds + 31 * Self.day)
            _ = try await test.store.installLicence(LicenceIssuer().issue(terms))
            #expect(try await told(test) == [])

            let minute: Int64 = 60_000_000
            let looks: [(left: Int64, words: String?)] = [
                (30 * Self.day - minute, "expires in 29 days"), (8 * Self.day, nil),
                (7 * Self.day - minute, "expires in 6 days"), (2 * Self.day, nil),
                (Self.day - minute, "expires in less than a day"), (-1, "expired at"), (-90 * Self.day, nil),
            ]
            for look in looks {
                try await test.store.database.query("UPDATE licence SET expires_at = \(.now) + \(look.left)")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 { group.addTask { try await test.store.checkLicence(every: 0) } }
                    try await group.waitForAll()
                }
                let events = try await told(test)
                #expect(events.count == (look.words == nil ? 0 : 1), "\(look.left): \(events)")
                if let words = look.words {
                    let expected = "License Expiration Warning: The license \(words)"
                    #expect(events.first?.hasPrefix(expected) == true, "\(events)")
                }
            }
        }
    }

    @Test(
        "A licence that is installed shortly before its end is told of at once",
        arguments: TestEngine.allCases)
    func installedLate(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var terms = try await test.terms()
            terms.expiresAt = Timestamp(microseconds: terms.issuedAt.microseconds + 5 * Self.day)

            _ = try await test.store.installLicence(LicenceIssuer().issue(terms))

            #expect(try await told(test).map { $0.prefix(26) } == ["License Expiration Warning"])
        }
    }

    @Test("A refused user is told of once a day, a full licence alone is not", arguments: TestEngine.allCases)
    func refused(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.limit(servers: nil, users: 5)
            try await add("fifth", test)
            try await test.store.checkLicence(every: 0)
            #expect(try await told(test) == [])

            for login in ["sixth", "seventh"] {
                await #expect(throws: StoreError.self) { try await add(login, test) }
            }

            #expect(
                try await told(test) == [
                    "License Limit Exceeded: A user was refused: the license allows 5 users, and there are 5."
                ])
        }
    }

    @Test(
        "More users than a new licence allows are told of when it is installed, and again the next day",
        arguments: TestEngine.allCases)
    func shrunk(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var terms = try await test.terms()
            terms.users = 3

            _ = try await test.store.installLicence(LicenceIssuer().issue(terms))
            try await test.store.checkLicence(every: 0)

            let exceeded = "License Limit Exceeded: The license allows 3 users, and there are 4."
            #expect(try await told(test) == [exceeded])
            try await test.store.database.query("UPDATE event_once SET key = key || ' (yesterday)'")
            try await test.store.checkLicence(every: Self.day)
            #expect(try await told(test) == [], "another server has looked within the day")
            try await test.store.checkLicence(every: 0)
            #expect(try await told(test) == [exceeded])
        }
    }
}
