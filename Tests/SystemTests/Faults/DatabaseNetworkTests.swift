import Domain
import Foundation
import Glibc
import NIOCore
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A bad network between one ASM Service and the database", .serialized)
    struct DatabaseNetworkTests {
        /// Own deadline of a statement, a request's repeat, and a slow machine.
        private static let longestSilence = Duration.seconds(10)

        @Test(
            "F03: statements cut in the middle, and the server killed then, are not done: the repeat is new",
            .timeLimit(.minutes(2)))
        func cutInTheMiddle() async throws {
            try await withBadLine { deployment, weather, _, people, talk, record in
                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(6), in: record)
                    }
                    for _ in 1...4 {
                        try await Task.sleep(for: .milliseconds(700))
                        weather.turn(.cutAfterRequest(bytes: Int.random(in: 1...900)))
                        try await Task.sleep(for: .milliseconds(300))
                        weather.turn(.fair)
                    }
                    weather.turn(.cutAfterRequest(bytes: 100))
                    try await Task.sleep(for: .milliseconds(100))
                    try await deployment.services[0].kill()
                    weather.turn(.fair)
                    try await deployment.services[0].start()
                    try await tasks.waitForAll()
                }
                #expect(record.acknowledged == 600, deployment.report)
            }
        }

        @Test(
            "F07: statements arrive and their answers do not: committed, never known, and once in the log",
            .timeLimit(.minutes(2)))
        func answersLost() async throws {
            try await withBadLine { deployment, weather, _, people, talk, record in
                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 50, for: .seconds(12), in: record)
                    }
                    try await people[0].untilAcknowledged(5)
                    weather.turn(.blackHoleOut)
                    try await Task.sleep(for: .seconds(8))
                    weather.turn(.fair)
                    try await tasks.waitForAll()
                }
                #expect(record.acknowledged == 600, deployment.report)
                #expect(Record.longestSilence(of: people) <= Self.longestSilence)
                // Whoever sent it sees it in the log over the other server, or repeats it first: both are well.
                #expect(
                    deployment.report.rawValue.contains("outcome unknown"),
                    "no answer was lost: nothing was tested")
            }
        }

        @Test(
            "F02 and F08: answers cut at their first byte, resets in a row, one byte at a time: nothing lost or doubled",
            .timeLimit(.minutes(2)))
        func resets() async throws {
            try await withBadLine { deployment, weather, proxy, people, talk, record in
                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(8), in: record)
                    }
                    try await people[0].untilAcknowledged(5)
                    for _ in 1...4 {
                        weather.turn(.cutAfter(responseBytes: 0))
                        try await Task.sleep(for: .milliseconds(200))
                        weather.turn(.fair)
                        try await Task.sleep(for: .milliseconds(300))
                    }
                    for _ in 1...8 {
                        proxy.reset()
                        try await Task.sleep(for: .milliseconds(150))
                    }
                    weather.turn(.sliced)
                    try await Task.sleep(for: .seconds(1))
                    weather.turn(.fair)
                    try await tasks.waitForAll()
                }
                #expect(record.acknowledged == 800, deployment.report)
            }
        }

        /// The first ASM Service reaches the database through a proxy, the second directly.
        private func withBadLine(
            _ body: (Deployment, Weather, ChaosProxy, [Person], Talk, Record) async throws -> Void
        ) async throws {
            let weather = Weather()
            let postgres = try PostgresServer.shared()
            let proxy = try await ChaosProxy(target: postgres.port) { weather.traffic() }
            let url = try await postgres.createDatabase()
            let deployment = try await Deployment(
                users: 4, database: url,
                firstDatabase: url.replacingOccurrences(of: ":\(postgres.port)/", with: ":\(proxy.port)/"))
            let people = try await deployment.people(4)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await body(deployment, weather, proxy, people, talk, record)

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
        }
    }

    @Suite("A database that has no time or no room for us", .serialized)
    struct DatabaseFaultTests {
        @Test(
            "F23: somebody who holds the log's lock holds it up for that long, and nothing is lost or doubled",
            .timeLimit(.minutes(2)))
        func lockHolder() async throws {
            let deployment = try await Deployment(users: 4)
            let people = try await deployment.people(4)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 50, for: .seconds(8), in: record) }
                try await people[0].untilAcknowledged(5)
                // Longer than a server's statement waits for a lock.
                let holder = try await deployment.hold("SELECT 1 FROM log_head FOR UPDATE", seconds: 5)
                try await holder.ended()
                try await tasks.waitForAll()
            }

            #expect(record.acknowledged == 400, deployment.report)
            #expect(Record.longestSilence(of: people) < .seconds(9))
            try await record.expectKept([talk], at: deployment.webs, deployment.report)
        }

        @Test(
            "F22: with 20 connections for two servers that want more, 200 people are served, and nothing is lost",
            .timeLimit(.minutes(3)))
        func fewConnections() async throws {
            let postgres = try PostgresServer(settings: [
                "max_connections=20", "superuser_reserved_connections=0",
            ])
            defer { postgres.stop() }
            let deployment = try await Deployment(users: 200, database: postgres.createDatabase())
            let senders = try await deployment.people(4)
            var others: [Person] = []
            for number in 5...200 {
                // One session each is enough to make the servers follow and deliver.
                let person = Person(try await deployment.logIn(number, at: number % 2))
                try await person.connect(to: deployment.webs[number % 2])
                others.append(person)
            }
            let talk = try await Talk(senders, at: deployment.webs[0])
            let all = try await deployment.webs[1].createThread((senders + others).map(\.login))
            let talks = [talk, Talk(thread: all, people: senders + others)]
            let record = Record()

            try await Talk.load(talks, perSecond: 100, for: .seconds(6), in: record)

            #expect(record.acknowledged == 600, deployment.report)
            // Reading everything with all of them would take a minute; what they got live is compared all the same.
            let readers = [talk, Talk(thread: all, people: senders)]
            try await record.expectKept(readers, at: deployment.webs, deployment.report)
            #expect((senders + others).allSatisfy { $0.state.value.ends.isEmpty })
        }
    }
}
