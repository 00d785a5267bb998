import Domain
import Synchronization
import Testing

@testable import ASMClient

extension MessagingClientTests {
    @Test("after a resync to another history of the log, numbers known from the lost one are taken again")
    func otherLog() async throws {
        let web = FakeWeb(faults: [nil, .otherLog])
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                await web.until { $0.connections == 1 }
                for text in ["1", "2", "3"] { web.say(text) }
                #expect(await Self.texts(3, from: &events) == ["1", "2", "3"])
                web.state.withLock { $0.log.removeLast(2) }
                await client.connection?.close()
                await web.until { $0.connections == 2 }
                for text in ["new 2", "new 3"] { web.say(text) }

                #expect(await Self.texts(2, from: &events) == ["new 2", "new 3"])
            }
        }
    }

    @Test("another entry under the number of an own message tells that the log is another one")
    func ownNumber() async throws {
        let web = FakeWeb()
        try await web.serve { address in
            let client = try Self.client([address])
            try await Self.run(client) { events in
                await web.until { $0.connections == 1 }
                web.say("1")
                #expect(await Self.texts(1, from: &events) == ["1"])
                for text in ["own 2", "own 3"] {
                    _ = try await client.send(text, in: Self.thread)
                }
                web.state.withLock {
                    $0.log.removeLast(2)
                    $0.positions = [:]
                }
                for text in ["new 2", "new 3"] { web.say(text) }

                #expect(await Self.texts(2, from: &events) == ["new 2", "new 3"])
            }
        }
    }
}
