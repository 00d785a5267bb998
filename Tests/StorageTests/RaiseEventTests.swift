import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Raising events", .serialized)
struct RaiseEventTests {
    struct Rollback: Error {}

    @Test("An event is in the log exactly when what caused it is committed", arguments: TestEngine.allCases)
    func oneTransaction(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let report = EventReport(event: .userLockedOut, summary: "Locked", customer: test.customer.id)
            await #expect(throws: Rollback.self) {
                try await test.store.database.write { session in
                    try session.raise(report)
                    throw Rollback()
                }
            }
            let rolledBack = try await test.store.database.query("SELECT count(*) FROM event_log")
            #expect(try rolledBack[0].int(0) == 0)

            #expect(try await test.store.raise(report))

            let logged = try await test.store.database.query("SELECT event, summary, mails FROM event_log")
            #expect(logged.count == 1)
            #expect(try logged[0].string(0) == "User Locked Out")
            #expect(try logged[0].int(2) == 0)
        }
    }

    @Test("The same key raises once, also from many servers at once", arguments: TestEngine.allCases)
    func once(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let report = EventReport(event: .serverInactive, summary: "Silent", key: "incident 1")

            let raised = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 { group.addTask { try await test.store.raise(report) } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }

            #expect(raised == 1)
            var other = report
            other.key = "incident 2"
            #expect(try await test.store.raise(other))
            let logged = try await test.store.database.query("SELECT count(*) FROM event_log")
            #expect(try logged[0].int(0) == 2)
        }
    }

    @Test(
        "What an event says is one line of bounded length, in the log and in its mail",
        arguments: TestEngine.allCases)
    func bounded(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let entry = try MailSettings(
                to: "ops@x.example", from: "asm@x.example", server: "mail.x.example", security: .startTLS)
            _ = try await test.store.addMailEntry(entry, for: nil)
            let long = "A\nb\u{0}\u{2028}c " + String(repeating: "ä", count: EventLimits.detailsBytes)

            try await test.store.raise(
                EventReport(event: .serverInactive, summary: long, details: "What to do\n" + long))

            let logged = try #require(try await test.store.loggedEvents(limit: 1).first)
            #expect(logged.summary.hasPrefix("A b  c ä") || logged.summary.hasPrefix("A b c ä"))
            #expect(
                !logged.summary.holdsControls && logged.summary.utf8.count <= EventLimits.summaryBytes + 3)
            #expect(logged.details.hasPrefix("What to do\nA\nb"))
            #expect(logged.details.utf8.count <= EventLimits.detailsBytes + 3)
            let mail = try #require(try await test.store.claimMails(limit: 1, lease: .seconds(90)).first)
            #expect(mail.body.hasPrefix(logged.summary + "\n"))
            #expect(mail.body.contains(logged.details))
        }
    }
}
