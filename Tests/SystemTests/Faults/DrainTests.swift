import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Servers taken out in order", .serialized)
    struct DrainTests {
        @Test(
            "asm drain moves everybody, loses nothing, ends the server with 0, and can be taken back before it is seen",
            .timeLimit(.minutes(3)))
        func drain() async throws {
            let deployment = try await Deployment(users: 4)
            let people = try await [
                deployment.person(1, at: 0), deployment.person(2, at: 1), deployment.person(3, at: 0),
                deployment.person(4, at: 1),
            ]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            let database = ["--database", deployment.databaseURL]
            let victim = deployment.services[0]

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 100, for: .seconds(8), in: record) }
                try await Task.sleep(for: .seconds(1))
                let drained = try await Program.run(["drain", victim.address, "--wait"] + database)
                #expect(drained.exitStatus == 0, "\(drained.errorText)")
                let ended = try await victim.current.ended(within: .seconds(5))
                #expect(ended.exitStatus == 0, deployment.report)
                let list = try await Program.run(["servers"] + database).outputText
                #expect(list.contains("stopped"), "\(list)")
                try await victim.start()
                try await deployment.untilConnected(servers: 2)
                try await tasks.waitForAll()
            }

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 800, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
            #expect(Record.longestSilence(of: people) < .seconds(2), deployment.report)
            // Started anew, it is not asked any more.
            try await Task.sleep(for: .seconds(2))
            #expect(victim.current.progress.value.exitStatus == nil, deployment.report)
        }

        @Test("asm drain says what it cannot do", .timeLimit(.minutes(2)))
        func refusals() async throws {
            let deployment = try await Deployment(services: 2, webs: 0, users: 1)
            let database = ["--database", deployment.databaseURL]
            let (first, second) = (deployment.services[0], deployment.services[1])

            try await expectFailure(["drain", "nobody:1"] + database, saying: ["nobody:1", "asm servers"])
            try await expectFailure(
                ["drain", "127.0.0.1"] + database, saying: [first.address, second.address, "Name one"])
            try await expectFailure(
                ["drain", first.address, "--cancel"] + database, saying: ["nothing to take back"])
            let once = try await Program.run(["drain", first.address, "--wait"] + database)
            #expect(once.exitStatus == 0, "\(once.errorText)")
            try await expectFailure(["drain", first.address] + database, saying: ["has stopped already"])
            second.current.signal(SIGSTOP)
            let silent = try await Program.run(["drain", second.address, "--wait"] + database)
            second.current.signal(SIGCONT)
            #expect(silent.exitStatus != 0 && silent.errorText.contains("silent"), "\(silent.errorText)")
            // What it was asked before it stood still, it does now.
            #expect(try await second.current.ended().exitStatus == 0)
        }

        @Test(
            "the only server ends in order too: its clients wait, and go on when it is back",
            .timeLimit(.minutes(2)))
        func onlyServer() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 0)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 50, for: .seconds(6), in: record) }
                try await Task.sleep(for: .seconds(1))
                try await deployment.services[0].drain()
                try await deployment.services[0].start()
                try await tasks.waitForAll()
            }

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 300, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
        }
    }
}
