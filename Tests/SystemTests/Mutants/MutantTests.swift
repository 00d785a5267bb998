import Domain
import Failpoints
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    /// The checker itself is checked: each mutant makes one known mistake, and must be caught; the sound program goes
    /// through the very same and breaks nothing. Real processes, a real PostgreSQL, real kills.
    @Suite("Mutants, each of which the checker of deliveries must catch", .serialized)
    struct MutantTests {
        /// How long nothing may be acknowledged that only the primary has.
        private static let watch = Duration.seconds(4)

        @Test(
            "a server killed at its commit: sound without a mutant, doubled by no-dedupe, lost by ack-before-commit",
            .timeLimit(.minutes(2)), arguments: [nil, Mutant.noDedupe, .ackBeforeCommit])
        func killedAtCommit(mutant: Mutant?) async throws {
            try await withTemporaryFolder { folder in
                let file = folder + "/failpoints"
                let deployment = try await Deployment(
                    users: 4,
                    environments: [
                        Self.environment(mutant).merging(["ASM_FAILPOINT_FILE": file]) { $1 },
                        Self.environment(mutant),
                    ])
                let people = try await deployment.people(4)
                let talk = try await Talk(people, at: deployment.webs[0])
                let record = Record()
                // So that the commit at which the server dies is one of messages.
                for person in people { person.state.update { $0.givesReceipts = false } }

                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(3), in: record)
                    }
                    try await people[0].untilAcknowledged(5)
                    // Between commit and answer; the mutant that answers first dies between answer and commit.
                    try "after_commit:kill@3,before_commit:kill@3".write(
                        toFile: file, atomically: true, encoding: .utf8)
                    let killed = try await deployment.services[0].current.ended()
                    #expect(killed.errorText.contains("kill"), Comment(rawValue: killed.errorText))
                    try await tasks.waitForAll()
                }

                try await Self.expect(mutant, record, [talk], deployment) { promise in
                    switch (mutant, promise) {
                    case (.noDedupe, .doubled), (.ackBeforeCommit, .lost): true
                    default: false
                    }
                }
            }
        }

        @Test(
            "F20: a cancelled wait for the standby, then a failover: sound without a mutant, lost by replay-without-write",
            .timeLimit(.minutes(2)), arguments: [nil, Mutant.replayWithoutWrite])
        func cancelledWait(mutant: Mutant?) async throws {
            let pair = try ReplicatedPostgres(synchronous: true)
            defer { pair.stop() }
            let deployment = try await Deployment(
                users: 2, database: pair.createDatabase(), environments: [Self.environment(mutant)])
            let people = try await deployment.people(2)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            await people[0].deliver("replicated", to: talk.thread, in: record)

            try pair.cut()
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { await people[0].deliver("cut off", to: talk.thread, in: record) }
                while try pair.cancelWaits(of: "asm_append") == 0 {}
                // Somebody's receipt for what became visible waits, too, and holds the log meanwhile.
                try await Self.acknowledged(record, 2, within: Self.watch) {
                    _ = try pair.cancelWaits(of: "asm_append")
                }
                #expect(record.acknowledged == (mutant == nil ? 1 : 2), deployment.report)
                try pair.failOver()
                try await tasks.waitForAll()
            }
            await people[1].deliver("after the failover", to: talk.thread, in: record)

            try await Self.expect(mutant, record, [talk], deployment) { promise in
                if case .lost = promise { true } else { false }
            }
        }

        @Test(
            "F19, then a failover: sound with a synchronous standby, lost with an asynchronous one",
            .timeLimit(.minutes(2)), arguments: [true, false])
        func replication(synchronous: Bool) async throws {
            let pair = try ReplicatedPostgres(synchronous: synchronous)
            defer { pair.stop() }
            let deployment = try await Deployment(users: 2, database: pair.createDatabase())
            let people = try await deployment.people(2)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            await people[0].deliver("replicated", to: talk.thread, in: record)

            try pair.cut()
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { await people[0].deliver("cut off", to: talk.thread, in: record) }
                try await Self.acknowledged(record, 2, within: Self.watch)
                #expect(record.acknowledged == (synchronous ? 1 : 2), deployment.report)
                try pair.failOver()
                try await tasks.waitForAll()
            }
            await people[1].deliver("after the failover", to: talk.thread, in: record)

            try await Self.expect(synchronous ? nil : "asynchronous", record, [talk], deployment) { promise in
                if case .lost = promise { true } else { false }
            }
        }

        @Test(
            "two servers under load: sound without a mutant, lost on the way to readers by sequence-cursor",
            .timeLimit(.minutes(2)), arguments: [nil, Mutant.sequenceCursor])
        func concurrentAppends(mutant: Mutant?) async throws {
            let deployment = try await Deployment(users: 4, environments: [Self.environment(mutant)])
            let people = try await deployment.people(4)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await Talk.load([talk], perSecond: 150, for: .seconds(3), in: record)

            try await Self.expect(mutant, record, [talk], deployment) { promise in
                if case .lost(_, let place) = promise { place.hasSuffix("live") } else { false }
            }
        }

        @Test(
            "a standby that shows nothing new: sound without a mutant, stale by replica-reads",
            .timeLimit(.minutes(2)), arguments: [nil, Mutant.replicaReads])
        func laggingStandby(mutant: Mutant?) async throws {
            let pair = try ReplicatedPostgres(synchronous: true)
            defer { pair.stop() }
            // Until people have logged in and opened their thread, the standby shows everything at once.
            try pair.waitForReplay(true)
            let url = try await pair.createDatabase()
            let replica = pair.standby.url(database: String(url.split(separator: "/").last ?? ""))
            let deployment = try await Deployment(
                users: 2, database: url,
                environments: [Self.environment(mutant).merging(["ASM_MUTANT_REPLICA": replica]) { $1 }])
            let people = try await deployment.people(2)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            await people[0].deliver("shown", to: talk.thread, in: record)
            try await record.read(talk.thread, as: people[1], at: deployment.webs[1])

            try pair.waitForReplay(false)
            try pair.pauseReplay()
            await people[0].deliver("not shown", to: talk.thread, in: record)
            try await record.read(talk.thread, as: people[1], at: deployment.webs[1])
            try pair.resumeReplay()
            try pair.waitForReplay(true)
            await people[0].deliver("shown again", to: talk.thread, in: record)

            try await Self.expect(mutant, record, [talk], deployment) { promise in
                if case .stale = promise { true } else { false }
            }
        }

        @Test(
            "a server that was replaced while it stood still: sound without a mutant, served by a zombie by leader-without-fence",
            .timeLimit(.minutes(2)), arguments: [nil, Mutant.leaderWithoutFence])
        func replaced(mutant: Mutant?) async throws {
            let deployment = try await Deployment(
                users: 4, environments: [Self.environment(mutant)], prepare: RightsLog.sql)
            let people = try await deployment.people(4)
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            for person in people { await person.deliver("before", to: talk.thread, in: record) }

            let zombie = deployment.services[0]
            zombie.current.signal(SIGSTOP)
            try await withThrowingTaskGroup { tasks in
                // Some of them wait in the sockets of the server that stands still.
                for person in people {
                    tasks.addTask { await person.deliver("meanwhile", to: talk.thread, in: record) }
                }
                let successor = try await deployment.replace(zombie)
                zombie.current.signal(SIGCONT)
                try await tasks.waitForAll()
                withExtendedLifetime(successor) {}
            }

            #expect(record.acknowledged == 8, deployment.report)
            try record.note { history in
                try RightsLog.read(
                    into: &history, from: deployment.postgres, database: deployment.databaseName)
            }
            try await Self.expect(mutant, record, [talk], deployment) { promise in
                if case .servedWithoutRight(let server, _) = promise { server == "service-0" } else { false }
            }
        }

        private static func environment(_ mutant: Mutant?) -> [String: String] {
            mutant.map { ["ASM_MUTANT": $0.rawValue] } ?? [:]
        }

        /// Waits until so much is acknowledged, or the time is over.
        private static func acknowledged(
            _ record: Record, _ count: Int, within limit: Duration, _ meanwhile: () throws -> Void = {}
        ) async throws {
            let end = ContinuousClock.now + limit
            while record.acknowledged < count, ContinuousClock.now < end {
                try meanwhile()
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        /// Expects that a sound program kept all promises, and that a mutant broke one of this kind.
        private static func expect(
            _ mutant: Any?, _ record: Record, _ talks: [Talk], _ deployment: Deployment,
            breaks kind: (BrokenPromise) -> Bool
        ) async throws {
            guard let mutant else {
                return try await record.expectKept(talks, at: deployment.webs, deployment.report)
            }
            let broken = try await record.brokenPromises(talks, at: deployment.webs)
            let isCaught = broken.contains(where: kind)
            #expect(
                isCaught,
                "\(mutant) was not caught: \(broken.prefix(8))\n\(deployment.report.rawValue)")
        }
    }
}

extension Deployment {
    /// The first users, each live at one Web Service after the other.
    ///
    /// All have logged in before the first connects: a Web Service takes the ASM Services in turn for everything, so
    /// that log-ins in between would leave all live sessions at one of them.
    func people(_ count: Int) async throws -> [Person] {
        var people: [Person] = []
        for number in 1...count {
            people.append(Person(try await logIn(number, at: (number - 1) % webs.count)))
        }
        for (index, person) in people.enumerated() { try await person.connect(to: webs[index % webs.count]) }
        return people
    }
}

extension Deployment {
    /// Starts another process as this server, which pushes the first one out.
    fileprivate func replace(_ server: Server) async throws -> Program {
        let successor = try await Program.asm([
            "service", "--database", databaseURL + "?application_name=successor", "--name", server.address,
            "--take-over", "--listen", "127.0.0.1:0",
        ])
        _ = try await successor.port()
        return successor
    }
}

extension Person {
    /// Waits until so many of one's own messages are acknowledged.
    func untilAcknowledged(_ count: Int) async throws {
        try await state.until("\(name) should have \(count) messages acknowledged") { state in
            state.acknowledgements.count >= count ? true : nil
        }
    }
}
