import Glibc
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("ASM Services that die or stand still", .serialized)
    struct ServerDeathTests {
        /// How long nothing may be acknowledged when a server stands still: a request's deadline and a retry.
        private static let longestSilence = Duration.seconds(7)

        @Test(
            "F01: kill -9 under load loses and doubles nothing, and no client notices",
            .timeLimit(.minutes(3)))
        func killedUnderLoad() async throws {
            let deployment = try await Deployment(users: 4)
            let people = try await [
                deployment.person(1, at: 0), deployment.person(2, at: 1), deployment.person(3, at: 0),
                deployment.person(4, at: 1),
            ]
            let talks = [
                try await Talk([people[0], people[1]], at: deployment.webs[0]),
                try await Talk(people, at: deployment.webs[1]),
            ]
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load(talks, perSecond: 300, for: .seconds(10), in: record) }
                for round in 0..<3 {
                    try await Task.sleep(for: .milliseconds(Int.random(in: 600...1_400)))
                    let victim = deployment.services[round % 2]
                    try await victim.kill()
                    try await victim.start()
                    try await deployment.untilConnected(servers: 2)
                }
                try await tasks.waitForAll()
            }

            try await record.expectKept(talks, at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 3_000, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
        }

        @Test(
            "F01: a server that dies between requests costs the next one less than 5 s",
            .timeLimit(.minutes(2)))
        func killedBetweenRequests() async throws {
            let deployment = try await Deployment(users: 2)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            for victim in deployment.services {
                await people[0].deliver("before", to: talk.thread, in: record)
                try await victim.kill()
                let killed = ContinuousClock.now
                await people[0].deliver("from one", to: talk.thread, in: record)
                await people[1].deliver("from the other", to: talk.thread, in: record)
                #expect(ContinuousClock.now - killed < .seconds(5), deployment.report)
                try await victim.start()
                try await deployment.untilConnected(servers: 2)
            }

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 6)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
        }

        @Test(
            "F04: a server stopped for 30 s under load holds nothing up for 7 s, and serves again after it",
            .timeLimit(.minutes(3)))
        func stopped() async throws {
            let deployment = try await Deployment(users: 2)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 100, for: .seconds(33), in: record) }
                try await Task.sleep(for: .seconds(1))
                deployment.services[0].current.signal(SIGSTOP)
                try await Task.sleep(for: .seconds(30))
                deployment.services[0].current.signal(SIGCONT)
                try await tasks.waitForAll()
            }
            try await deployment.untilConnected(servers: 2)
            try await deployment.services[1].kill()
            await people[0].deliver("through the server that had stood still", to: talk.thread, in: record)

            #expect(Record.longestSilence(of: people) <= Self.longestSilence)
            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 3_301, deployment.report)
            #expect(people.allSatisfy { $0.state.value.ends.isEmpty })
        }

        @Test(
            "nothing is acknowledged before the commit, and servers killed before it promised nothing",
            .timeLimit(.minutes(2)))
        func nothingPromisedBeforeTheCommit() async throws {
            let deployment = try await Deployment(users: 2)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            await people[0].deliver("before", to: talk.thread, in: record)
            try await people[1].untilSeen(1)

            try await withThrowingTaskGroup { tasks in
                let lock = try await deployment.lockLog(seconds: 2)
                tasks.addTask { await people[0].deliver("while it cannot", to: talk.thread, in: record) }
                try await Task.sleep(for: .seconds(1))
                #expect(record.acknowledged == 1, "acknowledged before it could be stored")
                #expect(
                    people[1].state.value.seen.count { $0.isMessage } == 1,
                    "delivered before it could be stored")
                for service in deployment.services { try await service.kill() }
                try await lock.ended()
                for service in deployment.services { try await service.start() }
                try await tasks.waitForAll()
            }

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 2)
        }
    }
}
