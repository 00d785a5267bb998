import Domain
import Foundation
import Synchronization
import Testing

@testable import ASMClient

@Suite("A client of services that misbehave", .timeLimit(.minutes(1)))
struct MessagingClientTests {
    @Test(
        "messages given without a connection are stored once and in order, though answers are lost on the way"
    )
    func outboxSurvivesHangUps() async throws {
        let web = FakeWeb(faults: [.hangUpAtFrame(3), .hangUpAtFrame(1), nil, nil])
        let texts = (1...20).map { "message \($0)" }
        try await web.serve { address in
            let client = try Self.client([address])
            for text in texts { try await client.enqueue(text, in: Self.thread) }

            try await Self.run(client) { events in
                var stored: [Int64] = []
                while stored.count < texts.count, let event = await events.next() {
                    if case .stored(_, _, let receipt) = event { stored.append(receipt.number) }
                }
                #expect(stored == Array(1...20))
            }

            #expect(web.state.withLock { $0.stored } == texts)
            #expect(web.state.withLock { $0.repeated } > 0)
            #expect(await client.waitingMessages == 0)
        }
    }

    @Test("sending waits for the promise and gives the place in the log")
    func sendWaits() async throws {
        let web = FakeWeb()
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { _ in
                let first = try await client.send("one", in: Self.thread)
                let second = try await client.send("two", in: Self.thread)

                #expect([first.number, second.number] == [1, 2])
            }
        }
    }

    @Test(
        "a message at which every server closes the connection is refused by name, and the rest is sent",
        arguments: [(1_009, "too-large"), (1_007, "not-utf8")])
    func givesUpWhatClosesConnections(code: Int, name: String) async throws {
        let web = FakeWeb(faults: Array(repeating: .closesAt("2", code: code), count: 100))
        try await web.serve { address in
            let pauses = Mutex<[Duration]>([])
            let client = try Self.client([address]) { configuration in
                configuration.pause = { pause in pauses.withLock { $0.append(pause) } }
            }
            var ids: [MessageID] = []
            for text in ["1", "2", "3", "4"] { ids.append(try await client.enqueue(text, in: Self.thread)) }

            try await Self.run(client) { events in
                var (stored, refused): ([MessageID], [MessageID]) = ([], [])
                while stored.count + refused.count < ids.count, let event = await events.next() {
                    switch event {
                    case .stored(let id, _, _): stored.append(id)
                    case .refused(let id, _, let error):
                        refused.append(id)
                        #expect(error.code == name)
                    default: break
                    }
                }
                #expect(stored == [ids[0], ids[2], ids[3]])
                #expect(refused == [ids[1]])
            }

            #expect(web.state.withLock { $0.stored } == ["1", "3", "4"])
            #expect(web.state.withLock { $0.connections } == 4)
            #expect(await client.waitingMessages == 0)
        }
    }

    @Test("a kept message that no server would take is refused by name at the start, and the rest is sent")
    func refusesKeptMessages() async throws {
        let items = ["1", String(repeating: "a", count: 65_537), "3"].map {
            Outbox.Item(id: .random(), thread: FakeWeb.thread, text: Sealed($0), priority: .normal)
        }
        let web = FakeWeb()
        try await web.serve { address in
            var state = SavedState()
            state.outbox = items
            let kept = state
            let client = try MessagingClient(
                configuration: ClientConfiguration(addresses: [address]), token: "AAAA",
                store: StateStore(load: { kept }, save: { _ in }))
            try await Self.run(client) { events in
                guard case .refused(let id, _, let error)? = await events.next() else {
                    Issue.record("It should be refused first.")
                    return
                }
                #expect(id == MessageID(items[1].id))
                #expect(error.code == "too-large")
                await web.until { $0.stored == ["1", "3"] }
            }
        }
    }

    @Test("a server that welcomes a client and closes at once is asked less and less often")
    func slowsDown() async throws {
        let web = FakeWeb(faults: Array(repeating: .hangUpAtFrame(1), count: 100))
        try await web.serve { address in
            let bounds = Mutex<[Duration]>([])
            let client = try Self.client([address]) { configuration in
                configuration.pause = { pause in bounds.withLock { $0.append(pause) } }
            }
            try await client.enqueue("x", in: Self.thread)
            try await Self.run(client) { _ in await web.until { $0.connections >= 40 } }
            // Full jitter: a pause alone says little, but of 30 that are drawn from 0…30 s one is beyond 3 s.
            #expect(bounds.withLock { $0.max() ?? .zero } > .seconds(3))
        }
    }

    @Test("entries that a server sends again are given to the app once")
    func replayedEntries() async throws {
        let web = FakeWeb(faults: [nil, .replay])
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                await web.until { $0.connections == 1 }
                for number in 1...3 { web.say("\(number)") }
                #expect(await Self.texts(3, from: &events) == ["1", "2", "3"])
                await client.connection?.close()
                await web.until { $0.connections == 2 }
                web.say("4")

                #expect(await Self.texts(1, from: &events) == ["4"])
            }
        }
    }

    @Test("an entry that a server lost on the way is loaded from the history, in its place")
    func swallowedEntry() async throws {
        let web = FakeWeb(faults: [.swallow(2...2)])
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                await web.until { $0.connections == 1 }
                for number in 1...3 { web.say("\(number)") }

                #expect(await Self.texts(3, from: &events) == ["1", "2", "3"])
                #expect(web.state.withLock { $0.historyRequests } == 1)
            }
        }
    }

    @Test("own messages are no holes: nothing is loaded for them")
    func ownMessagesAreNoHoles() async throws {
        let web = FakeWeb()
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                _ = try await client.send("mine", in: Self.thread)
                web.say("2")
                _ = try await client.send("mine again", in: Self.thread)
                web.say("4")

                #expect(await Self.texts(2, from: &events) == ["2", "4"])
                #expect(web.state.withLock { $0.historyRequests } == 0)
            }
        }
    }

    @Test("after a resync the client has loaded what it missed, each entry once")
    func resync() async throws {
        let web = FakeWeb(faults: [nil, .resync])
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                await web.until { $0.connections == 1 }
                web.say("1")
                #expect(await Self.texts(1, from: &events) == ["1"])
                await client.connection?.close()
                web.state.withLock { state in
                    for text in ["2", "3"] {
                        _ = state.append(text, author: FakeWeb.other, clientID: .random())
                    }
                }
                await web.until { $0.connections == 2 }

                #expect(await Self.texts(2, from: &events) == ["2", "3"])
                web.say("4")
                #expect(await Self.texts(1, from: &events) == ["4"])
            }
        }
    }

    @Test("a draining server is left for the next address, without a pause and with the cursor")
    func draining() async throws {
        let (going, staying) = (FakeWeb(faults: [.draining]), FakeWeb())
        try await going.serve { first in
            try await staying.serve { second in
                let pauses = Mutex(0)
                let client = try Self.client([first, second]) { configuration in
                    configuration.pause = { _ in pauses.withLock { $0 += 1 } }
                }
                try await Self.run(client) { _ in
                    await staying.until { $0.connections == 1 }
                }

                #expect(pauses.withLock { $0 } == 0)
                #expect(staying.state.withLock { $0.cursors.first??.epoch } == FakeWeb.epoch)
            }
        }
    }

    @Test("a void session ends the client and lets go who waits")
    func unauthenticated() async throws {
        let web = FakeWeb(faults: [.bye(Refusal(.unauthenticated, "Log in again."))])
        try await web.serve { address in
            let client = try Self.client([address])
            let sending = Task { try await client.send("x", in: Self.thread) }
            while await client.waitingMessages == 0 { try await Task.sleep(for: .milliseconds(1)) }

            let error = await #expect(throws: MessagingError.self) { try await client.run() }

            #expect(error?.needsLogIn == true)
            await #expect(throws: MessagingError.self) { try await sending.value }
            #expect(await client.waitingMessages == 1)
        }
    }

    @Test(
        "what a server cannot take now is repeated, and the order stays",
        arguments: [Refusal.Code.unavailable, .tooManyRequests])
    func unavailable(_ code: Refusal.Code) async throws {
        let web = FakeWeb(faults: [.refuseOnce(code)])
        try await web.serve { address in
            let client = try Self.client([address]) { $0.sendWindow = 1 }
            for text in ["a", "b", "c"] { try await client.enqueue(text, in: Self.thread) }
            try await Self.run(client) { _ in
                await web.until { $0.stored.count == 3 }

                #expect(web.state.withLock { $0.stored } == ["a", "b", "c"])
            }
        }
    }

    @Test("a server that says nothing is left")
    func silence() async throws {
        let web = FakeWeb(faults: [.mute])
        try await web.serve { address in
            let client = try Self.client([address]) { configuration in
                configuration.silence = .milliseconds(50)
                configuration.answerTime = .milliseconds(50)
            }
            try await Self.run(client) { _ in await web.until { $0.connections == 2 } }
        }
    }

    @Test("why there is no connection is said in words")
    func reasons() async throws {
        func reason(at address: WebAddress) async throws -> String? {
            let client = try Self.client([address])
            try await client.enqueue("hello", in: Self.thread)
            var reason: String?
            try await Self.run(client) { events in
                while reason == nil, let event = await events.next() {
                    if case .disconnected(let said, _) = event { reason = said }
                }
            }
            return reason
        }
        let nobody = try await reason(at: WebAddress("http://127.0.0.1:1"))
        #expect(nobody == "Connection refused")
        for (fault, said) in [
            (FakeWeb.Fault.bye(Refusal(.unavailable, "The server is going.")), "The server is going."),
            (.hangUpAtFrame(1), "the server closed the connection"),
        ] {
            let web = FakeWeb(faults: [fault])
            try await web.serve { address in
                let reason = try await reason(at: address)
                #expect(reason == said)
            }
        }
    }

    @Test("what came is reported as delivered")
    func deliveredReceipts() async throws {
        let web = FakeWeb()
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { _ in
                await web.until { $0.connections == 1 }
                web.say("1")
                web.say("2")

                await web.until { $0.receipts.last == 2 }
            }
        }
    }

    @Test("the outbox in a file is sent by the next process")
    func fileStore() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }  // Only tidying up.
        let nowhere = try WebAddress("http://127.0.0.1:1")
        let before = try Self.client([nowhere], store: .file(at: path))
        for text in ["öne", "two \"quoted\"\n"] { try await before.enqueue(text, in: Self.thread) }
        let web = FakeWeb()

        try await web.serve { address in
            let client = try Self.client([address], store: .file(at: path))
            try await Self.run(client) { _ in await web.until { $0.stored.count == 2 } }
        }

        #expect(web.state.withLock { $0.stored } == ["öne", "two \"quoted\"\n"])
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("an unreadable state is an error, not an empty outbox")
    func badState() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }  // Only tidying up.
        try Data("{\"version\":1,".utf8).write(to: URL(fileURLWithPath: path))

        #expect(throws: MessagingError.self) {
            try Self.client([try WebAddress("http://127.0.0.1:1")], store: .file(at: path))
        }
    }

    @Test("empty, oversize and too many messages are refused at once")
    func limits() async throws {
        let client = try Self.client([try WebAddress("http://127.0.0.1:1")]) { $0.outboxLimit = 1 }
        func code(_ text: String) async -> String? {
            do {
                try await client.enqueue(text, in: Self.thread)
                return nil
            } catch {
                return (error as? MessagingError)?.code
            }
        }

        #expect(await code("") == "empty")
        #expect(await code(String(repeating: "x", count: 65_537)) == "too-large")
        #expect(await code("fits") == nil)
        #expect(await code("one too many") == "outbox-full")
    }

    // MARK: Parts

    static let thread = ThreadID(FakeWeb.thread)

    static func client(
        _ addresses: [WebAddress], store: StateStore = .memory,
        adjust: (inout ClientConfiguration) -> Void = { _ in }
    ) throws -> MessagingClient {
        var configuration = try ClientConfiguration(addresses: addresses)
        configuration.pause = { _ in try await Task.sleep(for: .milliseconds(1)) }
        adjust(&configuration)
        return try MessagingClient(configuration: configuration, token: "token", store: store)
    }

    /// Runs the client while `body` takes its events.
    static func run(
        _ client: MessagingClient, _ body: (inout AsyncStream<ClientEvent>.Iterator) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await client.run() }
            var events = client.events.makeAsyncIterator()
            try await body(&events)
            tasks.cancelAll()
            while let result = await tasks.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    /// The texts of the next entries.
    static func texts(_ count: Int, from events: inout AsyncStream<ClientEvent>.Iterator) async -> [String] {
        var texts: [String] = []
        while texts.count < count, let event = await events.next() {
            guard case .entries(let entries) = event else { continue }
            for entry in entries {
                if case .message(let text, _) = entry.content { texts.append(text) }
            }
        }
        return texts
    }
}
