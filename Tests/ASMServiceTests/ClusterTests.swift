import Domain
import SQLDatabase
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Two ASM Services on one PostgreSQL", .serialized)
struct ClusterTests {
    @Test("What is sent through one server is at the other's sessions in order, and soon")
    func acrossServers() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let (a, b) = (
                try test.web(try await test.server(on: connect())),
                try test.web(try await test.server(on: connect()))
            )
            let (alice, bob) = (try await a.session("alice"), try await b.session("bob"))

            let began = ContinuousClock.now
            for index in 0..<10 {
                _ = await alice.send("\(index)", in: thread)
                await bob.until(text: "\(index)", within: .seconds(2))
            }
            // The poll alone would take half a second each on average.
            #expect(ContinuousClock.now - began < .seconds(3))

            await withTaskGroup(of: Void.self) { group in
                for index in 10..<110 { group.addTask { _ = await alice.send("\(index)", in: thread) } }
            }
            await bob.until { $0.count >= 110 }
            #expect(bob.entries.compactMap(\.number) == Array(2...111))
            let stored = try await test.texts()
            #expect(bob.texts == stored)
        }
    }

    @Test("Without any notification the poll brings it within two seconds")
    func notificationsLost() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let a = try test.web(try await test.server(on: DeafDatabase(database: connect())))
            let b = try test.web(try await test.server(on: DeafDatabase(database: connect())))
            let (alice, bob) = (try await a.session("alice"), try await b.session("bob"))

            for text in ["one", "two", "three"] {
                _ = await alice.send(text, in: thread)
                await bob.until(text: text, within: .seconds(2))
            }

            #expect(bob.texts == ["one", "two", "three"])
        }
    }

    @Test("Nobody gets an own message back, however busy the other server is")
    func originIsKept() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let a = try test.web(try await test.server(on: connect()))
            let b = try test.web(try await test.server(on: connect()))
            let (alice, bob) = (try await a.session("alice"), try await b.session("bob"))

            await withTaskGroup(of: Void.self) { group in
                for (session, name) in [(alice, "alice"), (bob, "bob")] {
                    for lane in 0..<4 {
                        group.addTask {
                            for index in 0..<60 {
                                _ = await session.send("\(name) \(lane) \(index)", in: thread)
                            }
                        }
                    }
                }
            }
            await alice.until { $0.count { $0.text?.hasPrefix("bob") == true } == 240 }
            await bob.until { $0.count { $0.text?.hasPrefix("alice") == true } == 240 }

            #expect(alice.texts.count { $0.hasPrefix("alice") } == 0)
            #expect(bob.texts.count { $0.hasPrefix("bob") } == 0)
            let stored = try await test.texts()
            #expect(alice.texts == stored.filter { $0.hasPrefix("bob") })
            #expect(bob.texts == stored.filter { $0.hasPrefix("alice") })
        }
    }

    @Test("Logging out at one server ends the session at the other within two seconds")
    func revoke() async throws {
        try await withCluster { test, connect in
            let (one, two) = (try await test.server(on: connect()), try await test.server(on: connect()))
            let (a, b) = (try test.web(one), try test.web(two))
            let token = try await a.logIn("alice")
            let session = await b.attach(token)
            let other = try await b.session("alice")

            _ = try await a.pool.request(.logOut(LinkLogOut()), token: token)

            await session.sink.events.until(within: .seconds(2)) { $0.last == .ended(.unauthenticated) }
            #expect(await b.refusal(.whoAmI(LinkWhoAmI()), token: token) == .unauthenticated)
            #expect(await a.refusal(.whoAmI(LinkWhoAmI()), token: token) == .unauthenticated)
            #expect(await b.attach(token).sink.events.value == [.ended(.unauthenticated)])
            #expect(other.sink.events.value.count == 1)
        }
    }

    @Test("Eight parallel sends of one id through both servers are one message (F40)")
    func parallelDuplicates() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let webs = [
                try test.web(try await test.server(on: connect())),
                try test.web(try await test.server(on: connect())),
            ]
            let token = try await webs[0].logIn("alice")
            let bob = try await webs[1].session("bob")
            for round in 0..<5 {
                let id = ClientID.random()
                let answers = try await withThrowingTaskGroup(of: LinkAccepted.self) { group in
                    for index in 0..<8 {
                        group.addTask {
                            try await webs[index % 2].post("\(round)", in: thread, token: token, clientID: id)
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(Set(answers.map(\.position)).count == 1)
                #expect(answers.count { !$0.replayed } == 1)
            }
            await bob.until(text: "4")
            #expect(bob.texts == ["0", "1", "2", "3", "4"])
            #expect(try await test.texts() == bob.texts)
        }
    }

    @Test("A server whose address another process took serves nothing more")
    func superseded() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server(on: connect(), registeredAs: "same"))
            let token = try await web.logIn("alice")
            _ = try await web.post("before", in: thread, token: token)

            let successor = try test.web(try await test.server(on: connect(), registeredAs: "same"))

            let late = LinkSendMessage.with {
                ($0.thread, $0.text, $0.clientID) = (thread.rawValue, "late", .random())
            }
            #expect(
                await web.refusal(.sendMessage(late), token: token, deadline: .seconds(1)) == .unavailable)
            try await eventually("reads are refused too", within: .seconds(3)) {
                await web.refusal(.whoAmI(LinkWhoAmI()), token: token, deadline: .milliseconds(500))
                    == .unavailable
            }
            #expect(try await successor.post("after", in: thread, token: token).number == 3)
            #expect(try await test.texts() == ["before", "after"])
        }
    }

    @Test("When a server ends, its sessions go on at the other and miss nothing")
    func failover() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let (one, two) = (try await test.server(on: connect()), try await test.server(on: connect()))
            let both = try test.web(one, two)
            let (alice, bob) = (try await both.session("alice"), try await both.session("bob"))

            for index in 0..<60 {
                if index == 20 { await one.stop() }
                #expect(await alice.send("\(index)", in: thread).refusal == nil)
            }

            await bob.until(text: "59")
            #expect(bob.texts == (0..<60).map { "\($0)" })
            #expect(try await test.texts() == bob.texts)
            #expect(bob.sink.events.value.count == 1)
        }
    }
}

/// A database that loses every notification.
struct DeafDatabase: SQLDatabase {
    let database: any SQLDatabase

    var engine: SQLEngine { database.engine }

    func query(_ sql: SQL) async throws -> SQLResult { try await database.query(sql) }

    func read<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        try await database.read(body)
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> T) async throws -> T {
        try await database.write(body)
    }

    func notify(channel: String, payload: String) async throws {}

    func notifications(on channel: String) -> AsyncStream<String> {
        // It ends with its iterator's task, as the real one does.
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        continuation.onTermination = { _ in _ = continuation }
        return stream
    }

    func run() async throws { try await database.run() }
    func close() async { await database.close() }
}
