import Domain
import Synchronization
import Testing

@testable import ASMClient

@Suite("What a client has noted but its app has not", .timeLimit(.minutes(1)))
struct LosslessTests {
    typealias Tests = MessagingClientTests

    @Test(
        "entries are given to the app once and in order, whichever page of a hole cannot be had at first",
        arguments: 0...3)
    func failedPage(_ failing: Int) async throws {
        let web = FakeWeb(faults: [.swallow(2...4)])
        web.state.withLock { state in
            state.historyPage = 1
            state.historyRefusals = [failing: .internalError]
        }
        try await web.serve { address in
            let client = try Tests.client([address])
            try await Tests.run(client) { events in
                await web.until { $0.connections == 1 }
                for number in 1...5 { web.say("\(number)") }
                if failing > 0 { await web.until { $0.connections == 2 } }
                web.say("6")

                #expect(await Self.texts(upTo: "6", from: &events) == ["1", "2", "3", "4", "5", "6"])
            }
            if failing == 0 { #expect(web.state.withLock { $0.historyRequests } == 3) }
        }
    }

    @Test("a client that is stopped while it loads a hole has not saved what its app did not get")
    func stoppedWhileLoading() async throws {
        let web = FakeWeb(faults: [.swallow(2...2)])
        // `unavailable` is asked for again after a pause: long enough to be stopped in it.
        web.state.withLock { $0.historyRefusals = [1: .unavailable] }
        let kept = Kept()
        try await web.serve { address in
            let first = try Tests.client([address], store: kept.store)
            try await Tests.run(first) { events in
                await web.until { $0.connections == 1 }
                for number in 1...3 { web.say("\(number)") }
                #expect(await Tests.texts(1, from: &events) == ["1"])
                await web.until { $0.historyRequests == 1 }
            }

            let second = try Tests.client([address], store: kept.store)
            try await Tests.run(second) { events in
                await web.until { $0.connections == 2 }
                web.say("4")

                #expect(await Self.texts(upTo: "4", from: &events).suffix(3) == ["2", "3", "4"])
            }
        }
    }

    @Test("a thread whose history is refused for good is reported as missing and holds up nothing")
    func refusedHistory() async throws {
        let web = FakeWeb(faults: [.swallow(2...2)])
        web.state.withLock { $0.historyRefusals = [1: .notFound] }
        try await web.serve { address in
            let client = try Tests.client([address])
            try await Tests.run(client) { events in
                await web.until { $0.connections == 1 }
                for number in 1...3 { web.say("\(number)") }

                #expect(await Self.texts(upTo: "3", from: &events) == ["1", "3"])
                #expect(web.state.withLock { $0.connections } == 1)
            }
        }
    }

    @Test("after a resync everything missed is there, though pages are shorter than asked for")
    func shortPages() async throws {
        let web = FakeWeb(faults: [nil, .resync])
        web.state.withLock { $0.historyPage = 2 }
        try await web.serve { address in
            let client = try Tests.client([address])
            try await Tests.run(client) { events in
                await web.until { $0.connections == 1 }
                web.say("1")
                #expect(await Tests.texts(1, from: &events) == ["1"])
                await client.connection?.close()
                web.state.withLock { state in
                    for number in 2...8 {
                        _ = state.append("\(number)", author: FakeWeb.other, clientID: .random())
                    }
                }

                #expect(await Tests.texts(7, from: &events) == (2...8).map { "\($0)" })
            }
        }
    }

    @Test("what waited for an app that was stopped is given to it after the restart")
    func untakenEvents() async throws {
        let web = FakeWeb()
        let kept = Kept()
        try await web.serve { address in
            let first = try Tests.client([address], store: kept.store)
            try await Tests.run(first) { _ in
                await web.until { $0.connections == 1 }
                for number in 1...3 { web.say("\(number)") }
                await web.until { $0.receipts.last == 3 }
                _ = try await first.send("mine", in: Tests.thread)
            }

            let second = try Tests.client([address], store: kept.store)
            try await Tests.run(second) { events in
                await web.until { $0.connections == 2 }
                web.say("5")

                #expect(await Self.texts(upTo: "5", from: &events) == ["1", "2", "3", "mine", "5"])
            }
        }
    }

    @Test("the place in the log is saved once the app has asked for what comes next")
    func takenEvents() async throws {
        let web = FakeWeb()
        let kept = Kept()
        try await web.serve { address in
            let client = try Tests.client([address], store: kept.store) { $0.saveInterval = .zero }
            try await Tests.run(client) { events in
                await web.until { $0.connections == 1 }
                repeat {
                    web.say("x")
                    #expect(await Tests.texts(1, from: &events) == ["x"])
                } while (kept.state.withLock { $0.cursor?.position } ?? 0) < 3
            }
        }
    }

    /// The texts of all entries up to the one with a certain text.
    static func texts(
        upTo last: String, from events: inout AsyncStream<ClientEvent>.Iterator
    ) async -> [String] {
        var texts: [String] = []
        while texts.last != last {
            let next = await MessagingClientTests.texts(1, from: &events)
            guard !next.isEmpty else { return texts }
            texts += next
        }
        return texts
    }
}

/// A store in memory that a later client can be started from.
private final class Kept: Sendable {
    let state = Mutex(SavedState())

    var store: StateStore {
        StateStore(load: { self.state.withLock { $0 } }, save: { new in self.state.withLock { $0 = new } })
    }
}
