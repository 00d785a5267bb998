import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Everything in one process, on SQLite", .serialized)
    struct EmbeddedDatabaseTests {
        @Test(
            "F24: kill -9 under load loses no acknowledged message, and clients go on from where they were",
            .timeLimit(.minutes(2)))
        func killed() async throws {
            try await withTemporaryFolder { folder in
                let passwordFile = folder + "/password"
                try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
                try await Deployment.addUsers(
                    2, to: "sqlite:\(folder)/asm.sqlite", passwordFile: passwordFile)
                let server = try await Server(["up", "--data", folder]) { ["--web-port", "\($0)"] }
                let web = Web(port: server.port)
                let people = [
                    Person(try await web.logIn("user1", password: Deployment.password)),
                    Person(try await web.logIn("user2", password: Deployment.password)),
                ]
                let talk = try await Talk(people, at: web)
                for person in people { try await person.connect(to: web) }
                let record = Record()

                for _ in 0..<2 {
                    try await withThrowingTaskGroup { tasks in
                        tasks.addTask {
                            try await Talk.load([talk], perSecond: 200, for: .seconds(2), in: record)
                        }
                        try await Task.sleep(for: .milliseconds(Int.random(in: 1_000...1_500)))
                        try await server.kill()
                        try await tasks.waitForAll()
                    }
                    try await server.start()
                    try await people[0].connect(to: web)
                    await people[0].deliver("while the other is away", to: talk.thread, in: record)
                    try await people[1].connect(to: web)
                }
                await people[0].deliver("after all", to: talk.thread, in: record)

                let report = Comment(rawValue: server.current.tail)
                try await record.expectKept([talk], at: [web], report)
                #expect(record.acknowledged > 100, report)
                #expect(people.allSatisfy { $0.state.value.resyncs == 0 })
            }
        }

        @Test(
            "a database that another asm has open is refused by name, and the other goes on",
            .timeLimit(.minutes(1)))
        func locked() async throws {
            try await withTemporaryFolder { folder in
                let server = try await Server(["up", "--data", folder]) { ["--web-port", "\($0)"] }

                try await expectFailure(
                    ["customer", "add", "Mercy", "--database", "sqlite:\(folder)/asm.sqlite"],
                    saying: ["asm.sqlite", "in use by another asm"])
                try await expectFailure(
                    ["up", "--data", folder, "--web-port", "0"],
                    saying: ["asm.sqlite", "in use by another asm"])

                #expect(try await Web(port: server.port).call("GET", "/healthz").status == 200)
            }
        }
    }
}
