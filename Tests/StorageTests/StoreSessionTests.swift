import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Accounts and sessions", .serialized)
struct StoreSessionTests {
    private func open(
        _ user: User, token: [UInt8], device: Device.ID? = nil, policy: SessionPolicy = SessionPolicy(),
        _ test: StoreUnderTest
    ) async throws -> SessionRecord {
        try await test.store.openSession(
            for: user, customerName: "Acme", device: device, deviceName: "phone", tokenHash: token,
            policy: policy)
    }

    @Test("A session opens with its token's hash and nothing else", arguments: TestEngine.allCases)
    func found(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let session = try await open(test.alice, token: [1, 2, 3], test)

            #expect(try await test.store.session(tokenHash: [1, 2, 3], policy: SessionPolicy()) == session)
            #expect(try await test.store.session(tokenHash: [1, 2], policy: SessionPolicy()) == nil)
            #expect(try await test.store.session(tokenHash: [], policy: SessionPolicy()) == nil)
            #expect(session.user == test.alice)
            #expect(session.device.name == "phone")
        }
    }

    @Test("A session ends when it expires or lies idle, and use keeps it", arguments: TestEngine.allCases)
    func expiry(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let policy = SessionPolicy()
            let hour: Int64 = 3_600 * 1_000_000
            let session = try await open(test.alice, token: [1], test)
            func lastUsed(microsecondsAgo age: Int64) async throws {
                try await test.store.database.query(
                    "UPDATE session SET last_used_at = \(.now) - \(age) WHERE id = \(session.id)")
            }

            try await lastUsed(microsecondsAgo: policy.idleMicroseconds - hour)
            #expect(try await test.store.session(tokenHash: [1], policy: policy) != nil)
            let used = try await test.store.database.query("SELECT \(.now) - last_used_at FROM session")
            #expect(try used[0].int(0) < hour)
            try await lastUsed(microsecondsAgo: policy.idleMicroseconds + 1)
            #expect(try await test.store.session(tokenHash: [1], policy: policy) == nil)

            var expired = policy
            expired.absoluteMicroseconds = -1
            _ = try await open(test.alice, token: [2], policy: expired, test)
            #expect(try await test.store.session(tokenHash: [2], policy: policy) == nil)
        }
    }

    @Test("Revoking ends a session and says so in the log, once", arguments: TestEngine.allCases)
    func revoke(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let session = try await open(test.alice, token: [1], test)
            let other = try await open(test.alice, token: [2], test)
            let thread = try await test.thread(test.alice, test.bob)
            let head = try await test.head

            for _ in 0..<2 { try await test.store.revoke(session, fence: test.fence) }

            #expect(try await test.store.session(tokenHash: [1], policy: SessionPolicy()) == nil)
            #expect(try await test.store.session(tokenHash: [2], policy: SessionPolicy()) == other)
            let entries = try await test.store.entries(of: test.customer.id, after: head, limit: 10)
            #expect(entries.map(\.content) == [.control(.sessionRevoked(session: session.id))])
            #expect(entries.map(\.number) == [nil])
            #expect(try await test.seen(by: test.alice, after: head).isEmpty)
            #expect(try await test.view(thread, by: test.alice).thread.lastPosition == head)
        }
    }

    @Test("A disabled user's sessions are void", arguments: TestEngine.allCases)
    func disabled(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await open(test.alice, token: [1], test)
            try await test.store.database.query(
                "UPDATE app_user SET disabled = 1 WHERE id = \(test.alice.id)")

            #expect(try await test.store.session(tokenHash: [1], policy: SessionPolicy()) == nil)
            #expect(try await test.store.credentials(login: "alice", customer: nil)[0].isDisabled)
            #expect(try await test.store.users(of: test.customer.id, logins: ["alice"]).isEmpty)
        }
    }

    @Test("A known device is used again, another user's is not", arguments: TestEngine.allCases)
    func devices(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let first = try await open(test.alice, token: [1], test)
            let again = try await open(test.alice, token: [2], device: first.device.id, test)
            let foreign = try await open(test.bob, token: [3], device: first.device.id, test)

            #expect(again.device == first.device)
            #expect(foreign.device.id != first.device.id)
        }
    }

    @Test(
        "Wrong passwords in a row lock an account for a while; a log-in starts anew",
        arguments: TestEngine.allCases)
    func lockOut(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var policy = SessionPolicy()
            policy.failuresBeforeLock = 3
            func locked() async throws -> Int64 {
                try await test.store.credentials(login: "alice", customer: nil)[0].lockedForMicroseconds
            }
            func fail(_ times: Int) async throws {
                for _ in 0..<times {
                    try await test.store.recordFailedLogin(of: test.alice.id, policy: policy)
                }
            }

            try await fail(2)
            _ = try await open(test.alice, token: [1], test)
            try await fail(2)
            #expect(try await locked() <= 0)
            try await fail(1)

            let microseconds = try await locked()
            #expect(microseconds > policy.lockMicroseconds - 60_000_000)
            #expect(microseconds <= policy.lockMicroseconds)
            #expect(
                try await test.store.credentials(login: "bob", customer: nil)[0].lockedForMicroseconds <= 0)
        }
    }

    @Test("One login at two customers is told apart by the customer's name", arguments: TestEngine.allCases)
    func sameLogin(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let rival = try await test.store.addCustomer(named: "Rival")
            let other = try await test.store.addUser(
                login: "alice", name: "Other Alice", passwordHash: Sealed("other"), to: rival.id)

            #expect(try await test.store.credentials(login: "alice", customer: nil).count == 2)
            let found = try await test.store.credentials(login: "alice", customer: "Rival")
            #expect(found.map(\.user) == [other])
            #expect(found.map(\.customerName) == ["Rival"])
            #expect(found.map(\.passwordHash.open) == ["other"])
            #expect(try await test.store.credentials(login: "alice", customer: "Nobody").isEmpty)
            #expect(try await test.store.credentials(login: "ALICE' OR ''='", customer: nil).isEmpty)
        }
    }

    @Test("Names in use are refused by name", arguments: TestEngine.allCases)
    func nameTaken(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            await #expect(throws: StoreError.nameTaken("Acme")) {
                try await test.store.addCustomer(named: "Acme")
            }
            await #expect(throws: StoreError.nameTaken("alice")) {
                try await test.store.addUser(
                    login: "alice", name: "A", passwordHash: Sealed("hash"), to: test.customer.id)
            }
            let found = try await test.store.customer(named: "Acme")
            #expect(found == test.customer)
            await #expect(throws: StoreError.noSuchCustomer("Nobody")) {
                try await test.store.customer(named: "Nobody")
            }
        }
    }
}
