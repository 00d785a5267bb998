import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("The mail outbox", .serialized)
struct MailOutboxTests {
    static func entry(_ to: String, subject: String = "") throws -> MailSettings {
        try MailSettings(
            to: to, from: "asm@mercy.example", subject: subject, server: "mail.mercy.example", login: "asm",
            password: Sealed("canary-password"), security: .startTLS)
    }

    private static let lease = Duration.seconds(90)

    private func raise(_ event: SystemEvent, _ test: StoreUnderTest) async throws {
        try await test.store.raise(EventReport(event: event, summary: "Something happened."))
    }

    private func everything(due test: StoreUnderTest) async throws {
        try await test.store.database.query("UPDATE mail_outbox SET next_at = 0 WHERE state = 0")
    }

    @Test(
        "One mail for each address, through the event's own entry if several name it",
        arguments: TestEngine.allCases)
    func oneMailPerAddress(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            _ = try await store.addMailEntry(try Self.entry("ops@x.example, it@x.example"), for: nil)
            _ = try await store.addMailEntry(
                try Self.entry("it@X.example;boss@x.example", subject: "Act"), for: .serverInactive)
            _ = try await store.addMailEntry(try Self.entry("other@x.example"), for: .deviceConflict)

            try await raise(.serverInactive, test)

            let mails = try await store.outbox(.waiting, limit: 100)
            #expect(mails.map(\.recipient).sorted() == ["boss@x.example", "it@x.example", "ops@x.example"])
            #expect(Set(mails.map(\.messageID)).count == 3)
            #expect(try await store.loggedEvents(limit: 10).map(\.mails) == [3])
            let claimed = try await store.claimMails(limit: 10, lease: Self.lease)
            let subjects = Set(claimed.map { "\($0.recipient) \($0.subject)" })
            #expect(
                subjects == ["ops@x.example ASM: Server Inactive", "it@x.example Act", "boss@x.example Act"])
        }
    }

    @Test("The check boxes decide about log and default mail", arguments: TestEngine.allCases)
    func checkBoxes(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            _ = try await store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            try await raise(.userLockedOut, test)
            #expect(try await store.outbox(.waiting, limit: 10).isEmpty)
            #expect(try await store.loggedEvents(limit: 10).count == 1)

            try await store.set(EventSettings(usesDefault: true, isLogged: false), for: .userLockedOut)
            try await raise(.userLockedOut, test)
            #expect(try await store.outbox(.waiting, limit: 10).count == 1)
            #expect(try await store.loggedEvents(limit: 10).count == 1)

            try await store.set(EventSettings(usesDefault: false, isLogged: false), for: .serverInactive)
            try await raise(.serverInactive, test)
            #expect(try await store.outbox(.waiting, limit: 10).count == 1)
            #expect(try await store.loggedEvents(limit: 10).count == 1)
        }
    }

    @Test(
        "A mail whose entry was deleted goes through another one to the same address",
        arguments: TestEngine.allCases)
    func replacedEntry(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let deleted = try await store.addMailEntry(
                try Self.entry("ops@x.example, it@x.example"), for: nil)
            try await raise(.serverInactive, test)
            try await store.deleteMailEntry(deleted)
            _ = try await store.addMailEntry(try Self.entry("ops@x.example"), for: .deviceConflict)
            let other = try await store.addMailEntry(
                try Self.entry("boss@x.example, ops@x.example"), for: nil)

            let claimed = try await store.claimMails(limit: 10, lease: Self.lease)

            let entries = Dictionary(uniqueKeysWithValues: claimed.map { ($0.recipient, $0.entry?.id) })
            #expect(entries == ["ops@x.example": other, "it@x.example": nil])
        }
    }

    @Test(
        "While too many mails wait an event is logged even if that is not set, and what is frequent leaves room",
        arguments: TestEngine.allCases)
    func tooMany(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            _ = try await store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            for event in [SystemEvent.userLockedOut, .serverInactive] {
                try await store.set(EventSettings(usesDefault: true, isLogged: false), for: event)
            }
            func wait(_ numbers: ClosedRange<Int>) async throws {
                try await store.database.query(
                    """
                    INSERT INTO mail_outbox (id, event_id, event, entry_id, recipient, subject, body, message_id,
                        created_at, give_up_at, next_at)
                    WITH RECURSIVE n(i) AS (
                        SELECT \(Int64(numbers.lowerBound)) UNION ALL SELECT i + 1 FROM n WHERE i < \(Int64(numbers.upperBound)))
                    SELECT i, i, 'x', 1, 'x@x.example', '', '', CAST(i AS text), \(.now), \(.now), \(.now) FROM n
                    """)
            }

            try await wait(1...EventLimits.waitingMailsOfPeople)
            try await raise(.userLockedOut, test)
            try await raise(.serverInactive, test)

            var logged = try await store.loggedEvents(limit: 10)
            #expect(logged.map(\.event) == ["User Locked Out"])
            #expect(logged.first?.details.contains("too many mails wait") == true)
            try await wait(EventLimits.waitingMailsOfPeople + 1...EventLimits.waitingMails)
            try await raise(.serverInactive, test)
            logged = try await store.loggedEvents(.serverInactive, limit: 10)
            #expect(logged.map(\.mails) == [0])
        }
    }

    @Test("A rolled back transaction sends no mail", arguments: TestEngine.allCases)
    func rollback(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await test.store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            await #expect(throws: RaiseEventTests.Rollback.self) {
                try await test.store.database.write { session in
                    try session.raise(EventReport(event: .serverInactive, summary: "x", key: "1"))
                    throw RaiseEventTests.Rollback()
                }
            }
            #expect(try await test.store.outbox(.waiting, limit: 10).isEmpty)
            #expect(try await test.store.raise(EventReport(event: .serverInactive, summary: "x", key: "1")))
        }
    }

    @Test("Many who claim at once share the mails, each claimed once", arguments: TestEngine.allCases)
    func claimRace(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let addresses = (1...20).map { "a\($0)@x.example" }.joined(separator: ",")
            _ = try await test.store.addMailEntry(try Self.entry(addresses), for: nil)
            try await raise(.serverInactive, test)

            let claimed = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        var ids: [Int64] = []
                        while let mail = try await test.store.claimMails(limit: 1, lease: Self.lease).first {
                            ids.append(mail.id)
                        }
                        return ids
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }

            #expect(claimed.count == 20)
            #expect(Set(claimed).count == 20)
        }
    }

    @Test("Whoever waits longest is first", arguments: TestEngine.allCases)
    func longestDueFirst(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await test.store.addMailEntry(
                try Self.entry("a@x.example,b@x.example,c@x.example"), for: nil)
            try await raise(.serverInactive, test)
            for (index, name) in ["b", "c", "a"].enumerated() {
                try await test.store.database.query(
                    "UPDATE mail_outbox SET next_at = \(Int64(index)) WHERE recipient = \(name + "@x.example")"
                )
            }

            var order: [String] = []
            for _ in 0..<3 {
                order += try await test.store.claimMails(limit: 1, lease: Self.lease).map(\.recipient)
            }

            #expect(order == ["b@x.example", "c@x.example", "a@x.example"])
        }
    }

    @Test(
        "After a lease the mail is another's, and the first one's note is refused",
        arguments: TestEngine.allCases)
    func lease(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            _ = try await store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            try await raise(.serverInactive, test)
            let first = try await store.claimMails(limit: 1, lease: Self.lease)[0]
            #expect(try await store.claimMails(limit: 1, lease: Self.lease).isEmpty)
            try await everything(due: test)
            let second = try await store.claimMails(limit: 1, lease: Self.lease)[0]

            #expect(second.messageID == first.messageID)
            #expect(second.body == first.body)
            #expect(second.attempts == 2)
            #expect(try await !store.recordSent(first))
            let late = try await store.recordFailure(
                of: first, words: "late", isFinal: true, policy: MailPolicy())
            #expect(late == .notOurs)
            #expect(try await store.outbox(.waiting, limit: 10).map(\.lastError) == [""])
            #expect(try await store.recordSent(second))
            #expect(try await store.outbox(.sent, limit: 10).count == 1)
            try await everything(due: test)
            #expect(try await store.claimMails(limit: 1, lease: Self.lease).isEmpty)
        }
    }

    @Test(
        "A failure waits longer each time, a refusal or 24 hours end it, and it can be revived",
        arguments: TestEngine.allCases)
    func failures(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            _ = try await store.addMailEntry(try Self.entry("ops@x.example,bad@x.example"), for: nil)
            try await raise(.serverInactive, test)
            let policy = MailPolicy()
            let claimed = try await store.claimMails(limit: 2, lease: Self.lease)
            let ops = try #require(claimed.first { $0.recipient.hasPrefix("ops") })
            let bad = try #require(claimed.first { $0.recipient.hasPrefix("bad") })

            let refused = try await store.recordFailure(
                of: bad, words: "550 no", isFinal: true, policy: policy)
            #expect(refused == .givenUp)
            let busy = try await store.recordFailure(
                of: ops, words: "451 busy", isFinal: false, policy: policy)
            #expect(busy == .triedAgain)
            #expect(try await store.outbox(.dead, limit: 10).map(\.lastError) == ["550 no"])
            #expect(try await store.outbox(.waiting, limit: 10).map(\.lastError) == ["451 busy"])
            #expect(try await store.claimMails(limit: 2, lease: Self.lease).isEmpty)

            try await test.store.database.query("UPDATE mail_outbox SET next_at = 0, give_up_at = \(.now)")
            let again = try await store.claimMails(limit: 2, lease: Self.lease)[0]
            let ended = try await store.recordFailure(
                of: again, words: "451 busy", isFinal: false, policy: policy)
            #expect(ended == .givenUp)
            let dead = try await store.outbox(.dead, limit: 10)
            #expect(dead.count == 2)

            #expect(try await store.reviveMails(dead[0].id) == 1)
            let revived = try await store.claimMails(limit: 2, lease: Self.lease)
            #expect(revived.map(\.messageID) == [dead[0].messageID])
            let waits = try await store.recordFailure(
                of: revived[0], words: "451", isFinal: false, policy: policy)
            #expect(waits == .triedAgain)
        }
    }

    @Test("Pauses double up to an hour, and scatter")
    func pauses() {
        let policy = MailPolicy()
        let pauses = (1...10).map { policy.pause(after: $0, jitter: 1) }
        #expect(pauses.prefix(4) == [.seconds(30), .seconds(60), .seconds(120), .seconds(240)])
        #expect(pauses.last == .seconds(3_600))
        #expect(policy.pause(after: 10_000, jitter: 1) == .seconds(3_600))
        let scattered = (0..<50).map { _ in policy.pause(after: 1) }
        #expect(Set(scattered).count > 10)
        #expect(scattered.allSatisfy { $0 >= .seconds(24) && $0 <= .seconds(36) })
    }

    @Test(
        "A mail whose entry is gone says so, and one given back is due at once",
        arguments: TestEngine.allCases)
    func deletedEntry(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let id = try await store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            try await raise(.serverInactive, test)
            let first = try await store.claimMails(limit: 1, lease: Self.lease)[0]
            #expect(first.entry?.settings == (try Self.entry("ops@x.example")))
            try await store.release(first)
            try await store.deleteMailEntry(id)

            let second = try await store.claimMails(limit: 1, lease: Self.lease)[0]
            #expect(second.attempts == 1)
            #expect(second.entry == nil)
            await #expect(throws: EventStoreError.noSuchEntry) { try await store.deleteMailEntry(id) }
            await #expect(throws: EventStoreError.noSuchEntry) {
                try await store.changeMailEntry(id, to: try Self.entry("a@x.example"))
            }
        }
    }

    @Test("There is one default entry, and its password shows nowhere", arguments: TestEngine.allCases)
    func oneDefault(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let store = test.store
            let id = try await store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            await #expect(throws: EventStoreError.defaultEntryExists) {
                try await store.addMailEntry(try Self.entry("b@x.example"), for: nil)
            }
            for _ in 0..<3 {
                _ = try await store.addMailEntry(try Self.entry("c@x.example"), for: .deviceConflict)
            }
            try await store.changeMailEntry(id, to: try Self.entry("new@x.example"))
            let entries = try await store.mailEntries()
            #expect(entries.map(\.event) == [nil] + Array(repeating: .deviceConflict, count: 3))
            #expect(entries[0].settings.to.map(\.description) == ["new@x.example"])
            #expect(!"\(entries)".contains("canary"))
            #expect(!String(reflecting: entries).contains("canary"))
        }
    }

    @Test("When too many mails wait, events are logged without", arguments: TestEngine.allCases)
    func full(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await test.store.addMailEntry(try Self.entry("ops@x.example"), for: nil)
            try await test.store.database.query(
                """
                INSERT INTO mail_outbox (id, event_id, event, entry_id, recipient, subject, body, message_id,
                    created_at, give_up_at, next_at)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(EventLimits.waitingMails))
                SELECT i, i, 'x', 1, 'a@x.example', 's', 'b', 'm' || i, 0, 0, 0 FROM n
                """)

            try await raise(.serverInactive, test)

            #expect(try await test.store.loggedEvents(limit: 10).map(\.mails) == [0])
        }
    }
}
