import Domain
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A rolling restart of everything", .serialized)
    struct RollingRestartTests {
        /// How integrations fared: each request once, through the load balancer.
        private final class Requests: Sendable {
            let failures = Mutex<[String]>([])
            let count = Mutex(0)

            func send(
                _ text: String, to thread: MessageThread.ID, as login: Web.Login, at web: Web,
                in record: Record
            )
                async
            {
                let id = ClientID.random()
                let invoked = ContinuousClock.now
                var outcome = DeliveryHistory.Outcome.unknown
                do {
                    let answer = try await web.call(
                        "POST", "/v1/threads/\(thread)/messages", as: login, key: id, ["text": .string(text)])
                    if answer.status == 201, let position = answer.body["position"].integer,
                        let number = answer.body["number"].integer
                    {
                        outcome = .acknowledged(position: position, number: number)
                    } else {
                        failures.withLock { $0.append("\(answer.status) \(answer.body)") }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
                count.withLock { $0 += 1 }
                record.add(
                    .init(
                        id: id, author: login.name, thread: thread, invoked: invoked, answered: .now,
                        outcome: outcome))
            }
        }

        @Test(
            "F46: every process drained and replaced by N+1 under load: no request refused, nothing lost or doubled",
            .timeLimit(.minutes(5)))
        func everything() async throws {
            let deployment = try await Deployment(users: 5)
            try await withTemporaryFolder { folder in
                let balancer = try await Balancer(before: deployment.webs, folder: folder)
                try await Deployment.untilReady(balancer.web, servers: 1)
                var people: [Roamer] = []
                for number in 1...4 {
                    let login = try await balancer.web.logIn("user\(number)", password: Deployment.password)
                    people.append(Roamer(login, at: balancer.web))
                }
                let integration = try await balancer.web.logIn("user5", password: Deployment.password)
                for person in people { try await person.connect() }
                let everybody = people.map(\.person) + [Person(integration)]
                let talk = try await Talk(everybody, at: balancer.web)
                let record = Record()
                let requests = Requests()
                let isOver = Watched(false)

                let perServer = try await Self.underLoad(
                    talk, people, integration, requests, at: balancer.web, isOver, in: record
                ) {
                    try await Self.replaceEverything(deployment)
                }

                let watchers = Talk(thread: talk.thread, people: people.map(\.person))
                try await record.expectKept([watchers], at: deployment.webs, deployment.report)
                #expect(requests.failures.withLock { $0 } == [], deployment.report)
                #expect(people.flatMap(\.refused.value) == [], deployment.report)
                #expect(record.acknowledged == record.current.sends.count, deployment.report)
                // Only the Web Services' ends cost reconnects: at most one per client and Web Service.
                let reconnects = people.map(\.reconnects).reduce(0, +)
                #expect((1...people.count * 2).contains(reconnects), deployment.report)
                Logger(label: "test").notice(
                    "A rolling restart of everything",
                    metadata: [
                        "messages": "\(record.acknowledged)",
                        "over.rest": "\(requests.count.withLock { $0 })",
                        "clients": "\(people.count)", "reconnects": "\(reconnects)",
                        "longest.silence": "\(Record.longestSilence(of: people.map(\.person)))",
                        "ended.within": "\(perServer)",
                    ])
            }
        }

        @Test(
            "a Web Service that is told to end serves on while the balancer notices: nothing is sent twice, nothing refused",
            .timeLimit(.minutes(2)))
        func balancerNotices() async throws {
            let deployment = try await Deployment(services: 1, users: 2)
            try await withTemporaryFolder { folder in
                let balancer = try await Balancer(before: deployment.webs, retries: false, folder: folder)
                try await Deployment.untilReady(balancer.web, servers: 1)
                let login = try await balancer.web.logIn("user1", password: Deployment.password)
                let other = try await balancer.web.logIn("user2", password: Deployment.password)
                let talk = try await Talk([Person(login), Person(other)], at: balancer.web)
                let (record, requests, isOver) = (Record(), Requests(), Watched(false))

                try await withThrowingDiscardingTaskGroup { tasks in
                    for sender in 0..<4 {
                        tasks.addTask {
                            while !isOver.value {
                                await requests.send(
                                    "from \(sender)", to: talk.thread, as: login, at: balancer.web, in: record
                                )
                            }
                        }
                    }
                    for server in deployment.webServers {
                        try await Task.sleep(for: .seconds(1))
                        try await server.drain()
                        try await server.start()
                        // Balancers take a server back when it has been well for a moment.
                        try await Task.sleep(for: .seconds(1))
                    }
                    isOver.update { $0 = true }
                }

                #expect(requests.failures.withLock { $0 } == [], deployment.report)
                #expect(requests.count.withLock { $0 } > 100, deployment.report)
            }
        }

        /// Live and REST load, as long as the body runs.
        private static func underLoad<Value: Sendable>(
            _ talk: Talk, _ people: [Roamer], _ integration: Web.Login, _ requests: Requests, at web: Web,
            _ isOver: Watched<Bool>, in record: Record, _ body: @Sendable () async throws -> Value
        ) async throws -> Value {
            try await withThrowingTaskGroup { tasks in
                for person in people {
                    tasks.addTask {
                        // Over when the others are.
                        await withTaskGroup { group in
                            group.addTask { await person.roam() }
                            // Waits patiently: the test has its own limit.
                            _ = try? await isOver.until("the test should end", within: .seconds(280)) {
                                $0 ? true : nil
                            }
                            group.cancelAll()
                        }
                    }
                }
                tasks.addTask {
                    try await withThrowingDiscardingTaskGroup { sends in
                        var index = 0
                        while !isOver.value {
                            let (number, person) = (index, people[index % people.count])
                            sends.addTask {
                                await person.deliver("live \(number)", to: talk.thread, in: record)
                            }
                            if index % 4 == 0 {
                                sends.addTask {
                                    await requests.send(
                                        "rest \(number)", to: talk.thread, as: integration, at: web,
                                        in: record)
                                }
                            }
                            index += 1
                            try await Task.sleep(for: .milliseconds(20))
                        }
                    }
                }
                do {
                    try await Task.sleep(for: .seconds(1))
                    let value = try await body()
                    try await Task.sleep(for: .seconds(1))
                    isOver.update { $0 = true }
                    try await tasks.waitForAll()
                    return value
                } catch {
                    isOver.update { $0 = true }
                    throw error
                }
            }
        }

        /// One process after the other: told to end, waited for, started anew as the next version.
        /// - Returns: how long each took to end.
        private static func replaceEverything(_ deployment: Deployment) async throws -> [Duration] {
            var times: [Duration] = []
            for server in deployment.services + deployment.webServers {
                times.append(try await server.drain())
                try await server.start(as: .next, environment: ["ASM_DRAIN_DELAY_SECONDS": "1"])
                try await deployment.untilConnected(servers: deployment.services.count)
                // Load balancers take a server back when it has been well for a moment.
                try await Task.sleep(for: .seconds(1))
            }
            return times
        }
    }
}
