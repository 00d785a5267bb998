import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("What raises events", .serialized)
struct EventTriggerTests {
    private func events(_ test: StoreUnderTest) async throws -> [String] {
        try await test.store.loggedEvents(limit: 100).map(\.event).reversed()
    }

    @discardableResult
    private func logIn(
        _ user: User, token: UInt8, device: Device.ID? = nil, _ test: StoreUnderTest
    ) async throws -> SessionRecord {
        try await test.store.openSession(
            for: user, customerName: "Acme", device: device, deviceName: "phone\n\nServer: a:1",
            tokenHash: [token],
            policy: SessionPolicy())
    }

    @Test("A lock-out is told once, in its transaction", arguments: TestEngine.allCases)
    func lockedOut(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            var policy = SessionPolicy()
            policy.failuresBeforeLock = 3
            for _ in 0..<2 { try await test.store.recordFailedLogin(of: test.alice.id, policy: policy) }
            #expect(try await events(test) == [])

            try await test.store.recordFailedLogin(of: test.alice.id, policy: policy)

            #expect(try await events(test) == ["User Locked Out"])
            let event = try await test.store.loggedEvents(limit: 1)[0]
            #expect(event.customer == "Acme")
            #expect(event.summary.contains("'alice'"))
            try await test.store.recordFailedLogin(of: test.alice.id, policy: policy)
            #expect(try await events(test).count == 1)
        }
    }

    @Test("A new device is told, a known one is not", arguments: TestEngine.allCases)
    func deviceRegistered(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let first = try await logIn(test.alice, token: 1, test)
            try await logIn(test.alice, token: 2, device: first.device.id, test)

            #expect(try await events(test) == ["Device Registered"])
        }
    }

    @Test("Another user's device is a conflict, told once a day", arguments: TestEngine.allCases)
    func deviceConflict(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let first = try await logIn(test.alice, token: 1, test)
            for token in UInt8(2)...3 {
                try await logIn(test.bob, token: token, device: first.device.id, test)
            }
            try await logIn(test.carol, token: 4, device: .random(), test)

            let details = try await test.store.loggedEvents(.deviceConflict, limit: 10).map(\.details)
            #expect(details.allSatisfy { !$0.contains("\n") }, "a device's name adds no line")
            let told = try await events(test)
            #expect(told.filter { $0 == "Device Conflict" }.count == 1)
            #expect(told.filter { $0 == "Device Registered" }.count == 4)
            let conflict = try await test.store.loggedEvents(.deviceConflict, limit: 1)[0]
            #expect(conflict.summary.contains("'bob'") && conflict.summary.contains("'alice'"))

            let rival = try await test.store.addCustomer(named: "Rival")
            let eve = try await test.store.addUser(
                login: "eve", name: "Eve", passwordHash: Sealed("hash"), to: rival.id)
            try await logIn(eve, token: 5, device: first.device.id, test)
            let conflicts = try await test.store.loggedEvents(.deviceConflict, limit: 10)
            let foreign = try #require(conflicts.first { $0.customer == "Rival" })
            #expect(!(foreign.summary + foreign.details).contains("alice"))
        }
    }

    @Test(
        "The database's size is looked at by one server, and told at its limits",
        arguments: TestEngine.allCases)
    func databaseSize(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let hour: Int64 = 3_600_000_000
            #expect(try await store.checkDatabaseSize(every: hour) == .normal)
            let others = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<5 { group.addTask { try await store.checkDatabaseSize(every: hour) != nil } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(others == 0)

            try await store.set(.databaseLimitBytes, to: 1_024)
            #expect(try await store.checkDatabaseSize(every: 0) == .exceeded)
            #expect(try await store.checkDatabaseSize(every: 0) == .exceeded)
            #expect(try await events(test) == ["Database Size Exceeded"])
            try await store.set(.databaseLimitBytes, to: 0)
            #expect(try await store.checkDatabaseSize(every: 0) == .normal)
        }
    }

    @Test(
        "Every kind of usage is told at its warning and at its limit, once per crossing and each day",
        arguments: TestEngine.allCases)
    func usage(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            for subject in UsageReport.Subject.allCases {
                func report(_ used: Int64) async throws {
                    try await store.reportUsage(
                        UsageReport(subject, used: used, limit: 100, customer: test.customer.id))
                }
                try await store.database.query("DELETE FROM event_log")
                for used: Int64 in [10, 79, 80, 85, 78, 80, 76, 74, 81, 99, 100, 120, 96, 100] {
                    try await report(used)
                }
                let kinds = try await events(test).map { $0.split(separator: " ").last ?? "" }
                #expect(kinds.sorted() == ["Exceeded", "Warning", "Warning"], "\(subject)")

                try await store.database.query(
                    "UPDATE usage_level SET raised_at = raised_at - \(86_400_000_000)")
                try await report(100)
                try await report(100)
                #expect(try await events(test).count == 4, "\(subject)")
                try await report(0)
                #expect(try await events(test).count == 4)
            }
            // Each customer and the whole have levels of their own.
            try await store.database.query("DELETE FROM event_log")
            try await store.reportUsage(UsageReport(.archive, used: 90, limit: 100))
            try await store.reportUsage(
                UsageReport(.archive, used: 90, limit: 100, customer: test.customer.id))
            #expect(try await events(test) == ["Archive Size Warning", "Archive Size Warning"])
        }
    }

    @Test("Usage without a limit is always normal, and huge numbers are no trouble")
    func thresholds() {
        let threshold = UsageThreshold(warningPercent: 80)
        #expect(threshold.level(used: 1 << 60, limit: 0, from: .normal) == .normal)
        #expect(threshold.level(used: Int64.max, limit: Int64.max, from: .normal) == .exceeded)
        #expect(threshold.level(used: 99, limit: 100, from: .exceeded) == .exceeded)
        #expect(threshold.level(used: 95, limit: 100, from: .exceeded) == .warning)
        #expect(threshold.level(used: 50, limit: 100, from: .exceeded) == .normal)
        #expect(threshold.level(used: 3, limit: 3, from: .normal) == .exceeded)
    }

    @Test("Old events go in batches, new ones stay", arguments: TestEngine.allCases)
    func retention(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let day: Int64 = 86_400_000_000
            try await store.database.query(
                """
                INSERT INTO event_log (id, event, at, summary, details, mails)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
                SELECT i, 'x', \(.now) - \(8 * day), 's', 'd', 0 FROM n
                """)
            try await store.raise(EventReport(event: .serverInactive, summary: "new", key: "k"))
            #expect(try await store.purgeEvents() == 0)

            try await store.set(.retentionDays, to: 7)
            #expect(try await store.purgeEvents() == Store.purgeBatch)
            #expect(try await store.purgeEvents() == Store.purgeBatch)
            #expect(try await store.purgeEvents() == 200)
            #expect(try await store.purgeEvents() == 0)

            #expect(try await events(test) == ["Server Inactive"])
            #expect(try await !store.raise(EventReport(event: .serverInactive, summary: "new", key: "k")))
            #expect(try await store.take(.eventRetention, every: day))
            #expect(try await !store.take(.eventRetention, every: day))
            await #expect(throws: EventStoreError.self) { try await store.set(.retentionDays, to: 0) }
        }
    }

    @Test(
        "Keys of events that come once, mails sent and mails given up are kept as long as they are to be",
        arguments: TestEngine.allCases)
    func retentionOfMails(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let day: Int64 = 86_400_000_000
            try await store.set(.retentionDays, to: 90)
            for age in [29, 31, 89, 91, 399, 401] as [Int64] {
                try await store.database.query(
                    "INSERT INTO event_once (event, key, at) VALUES ('x', \("\(age)"), \(.now) - \(age * day))"
                )
                for state in [0, 1, 2] as [Int64] {
                    try await store.database.query(
                        """
                        INSERT INTO mail_outbox (id, event_id, event, entry_id, recipient, subject, body, message_id,
                            created_at, give_up_at, state, next_at, ended_at)
                        VALUES (\(age * 10 + state), \(age * 10 + state), 'x', 1, 'a@x.example', 's', 'b',
                            \("\(age)-\(state)"), 0, 0, \(state), 0, \(.now) - \(age * day))
                        """)
                }
            }

            #expect(try await store.purgeEvents() == 1 + 5 + 3)

            let keys = try await store.database.query("SELECT key FROM event_once ORDER BY at DESC")
            #expect(try keys.map { try $0.string(0) } == ["29", "31", "89", "91", "399"])
            let mails = try await store.database.query(
                "SELECT id / 10 FROM mail_outbox WHERE state = 1 ORDER BY id")
            #expect(try mails.map { try $0.int(0) } == [29])
            let dead = try await store.database.query(
                "SELECT id / 10 FROM mail_outbox WHERE state = 2 ORDER BY id")
            #expect(try dead.map { try $0.int(0) } == [29, 31, 89])
            let waiting = try await store.database.query("SELECT count(*) FROM mail_outbox WHERE state = 0")
            #expect(try waiting[0].int(0) == 6)
        }
    }
}
