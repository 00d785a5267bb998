import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("A database whose clock was set back", .serialized)
struct ClockTests {
    private static let day: Int64 = 86_400 * 1_000_000

    @Test("A server that is silent is told of, shown so and can be removed, though its times lie ahead")
    func silentServer() async throws {
        try await withStore(on: .postgres) { test in
            try await test.limit(servers: 1)
            let observer = try await test.register(["b:1"])[0].identity
            try await test.age(test.server.identity, seconds: -86_400)
            let silent = try #require(try await test.store.servers().first { $0.address == "a:1" })
            #expect(silent.state() == "unreachable")
            #expect(silent.isBeating() == false)

            #expect(try await test.store.openIncident(.unreachable, against: silent, by: observer))
            #expect(try await test.store.openIncident(.inactive, against: silent, by: observer))

            #expect(try await test.store.claimSlot(observer)?.slot == test.fence.slot)
            try await test.store.removeServer("a:1")
            #expect(try await test.store.servers().map(\.address) == ["b:1"])
        }
    }

    @Test("What is done now and then is due, and mails do not wait", arguments: TestEngine.allCases)
    func jobsAndMails(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            _ = try await test.store.addMailEntry(try MailOutboxTests.entry("ops@x.example"), for: nil)
            try await test.store.raise(EventReport(event: .serverInactive, summary: "x"))
            #expect(try await test.store.take(.eventRetention, every: Self.day))
            #expect(try await test.store.take(.eventRetention, every: Self.day) == false)

            try await test.store.database.query("UPDATE periodic_job SET last_at = last_at + \(Self.day)")
            try await test.store.database.query("UPDATE mail_outbox SET next_at = next_at + \(Self.day)")

            #expect(try await test.store.take(.eventRetention, every: Self.day))
            #expect(try await test.store.take(.eventRetention, every: Self.day) == false)
            #expect(try await test.store.claimMails(limit: 1, lease: .seconds(90)).count == 1)
            #expect(try await test.store.claimMails(limit: 1, lease: .seconds(90)).isEmpty)
        }
    }
}
