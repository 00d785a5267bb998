import Domain
import ServiceLink
import TestSupport
import Testing

@testable import ASMService

@Suite("Sessions to which nothing happens", .serialized)
struct QuietSessionTests {
    @Test(
        "keep up with the log, so that they go on at another server however much of it was others'",
        arguments: TestEngine.allCases)
    func moves(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let thread = try await test.thread("alice", "bob")
            let first = try await test.server()
            let second = try await test.server()
            let web = try test.web(first, second)
            let carol = try await web.session("carol")
            await carol.sink.servers.until { $0.count == 1 }
            let start = carol.cursor.position
            try await test.fill(thread, by: "alice", count: Int(CustomerFeed.catchUpSpan) + 1_500)
            await web.followed.until { ($0 ?? 0) >= start + CustomerFeed.catchUpSpan }

            let here = carol.sink.servers.value[0]
            for server in [first, second] where server.address == here { await server.stop() }
            await carol.sink.servers.until { $0.count == 2 }

            guard carol.sink.events.value.count == 1,
                case .attached(_, resync: false)? = carol.sink.events.value.first
            else {
                Issue.record("\(carol.sink.events.value)")
                return
            }
            // … and nothing that concerns her is passed over.
            let own = try await test.thread("alice", "carol")
            try await test.fill(own, by: "alice", count: 1)
            await carol.until { $0.contains { $0.text == "0" } }
            #expect(carol.entries.allSatisfy { $0.thread == own })
        }
    }
}
