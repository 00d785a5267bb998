import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("High Availability licences", .serialized)
    struct LicenceSlotTests {
        @Test(
            "F35: of ten servers started at once with two licences two serve, eight are degraded, and take over by themselves",
            .timeLimit(.minutes(4)))
        func tenServers() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                try await installation.license(servers: 2)
                let servers = try await withThrowingTaskGroup(of: Server.self) { group in
                    for _ in 0..<10 { group.addTask { try await installation.passingService() } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let list = servers.map(\.address).joined(separator: ",")
                let webServer = try await Server(["web-service", "--server", list])
                let web = Web(port: webServer.port)
                try await Deployment.untilReady(web, servers: 10)

                try await installation.until("two should be active and eight degraded") {
                    try await installation.states() == ["active": 2, "degraded": 8]
                }
                #expect(try await installation.events("Server Unlicensed") == 8)
                let listed = try await installation.servers()
                let degraded = listed.values.filter { $0["state"].text == "degraded" }
                #expect(degraded.allSatisfy { $0["reason"].text?.contains("Degraded Mode") == true })
                #expect(Set(listed.values.compactMap { $0["slot"].integer }) == [1, 2])

                // People get on as if the eight were not there.
                let people = [
                    Person(try await web.logIn("user1", password: Deployment.password)),
                    Person(try await web.logIn("user2", password: Deployment.password)),
                ]
                for person in people { try await person.connect(to: web) }
                let talk = try await Talk(people, at: web)
                let record = Record()
                try await withThrowingTaskGroup { tasks in
                    tasks.addTask { try await Talk.load([talk], perSecond: 40, for: .seconds(8), in: record) }
                    try await Task.sleep(for: .seconds(1))
                    let active = servers.filter { listed[$0.address]?["state"].text == "active" }
                    for server in active {
                        server.current.signal(SIGTERM)
                        try await server.current.ended()
                    }
                    try await tasks.waitForAll()
                }
                try await installation.until("two others should serve") {
                    try await installation.states() == ["active": 2, "degraded": 6, "stopped": 2]
                }
                try await record.expectKept([talk], at: [web], Comment(rawValue: webServer.current.tail))
                #expect(record.acknowledged == 320)
                #expect(people.allSatisfy { $0.state.value.ends.isEmpty })
                // They have waited: that is no start.
                #expect(try await installation.events("Server Unlicensed") == 8)
            }
        }

        @Test(
            "F36: a licence that shrinks while they run takes the highest slot; nothing is lost, and a larger one gives it back",
            .timeLimit(.minutes(3)))
        func shrink() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await Deployment(users: 2)
                let installation = try Installation(deployment, folder: folder)
                try await installation.license(servers: 2)
                let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
                let talk = try await Talk(people, at: deployment.webs[0])
                let record = Record()

                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 50, for: .seconds(10), in: record)
                    }
                    try await Task.sleep(for: .seconds(2))
                    try await installation.license(servers: 1)
                    try await tasks.waitForAll()
                }

                #expect(try await installation.states() == ["active": 1, "degraded": 1], deployment.report)
                let listed = try await installation.servers()
                #expect(listed.values.first { $0["state"].text == "active" }?["slot"].integer == 1)
                #expect(try await installation.events("Server Unlicensed") == 1)
                #expect(Record.longestSilence(of: people) <= .seconds(5))
                try await record.expectKept([talk], at: deployment.webs, deployment.report)
                #expect(record.acknowledged == 500)
                #expect(people.allSatisfy { $0.state.value.ends.isEmpty })

                try await installation.license(servers: 2)
                try await installation.until("both should serve again") {
                    try await installation.states() == ["active": 2]
                }
            }
        }

        @Test(
            "a licence that is expired, forged, for another installation or cut short is refused with what to do",
            .timeLimit(.minutes(1)))
        func badFiles() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                try await installation.license(servers: 2)
                let good = try String(contentsOfFile: folder + "/test.license", encoding: .utf8)
                func refused(_ text: String, _ words: String...) async throws {
                    let file = folder + "/bad.license"
                    try text.write(toFile: file, atomically: true, encoding: .utf8)
                    try await expectFailure(
                        ["license", "install", file, "--database", installation.databaseURL], saying: words)
                }
                try await refused(
                    good.replacingOccurrences(of: "servers: 2", with: "servers: 9"), "signature")
                try await refused(String(good.prefix(150)), "cut short")
                try await refused("", "empty")
                try await refused("A letter.", "no ASM license")
                let other = try await Program.run([
                    "license", "issue", "--key", folder + "/issuer.key", "--installation",
                    "\(Token128.random())", "--licensee", "Other", "--servers", "9",
                ])
                try await refused(other.outputText, "is for installation", "Send that number")
                let shown = try await installation.run("license", "show")
                #expect(shown.contains("High Availability servers: 2 (in use: 0)"))
                try await expectFailure(
                    ["license", "install", folder + "/absent", "--database", installation.databaseURL],
                    saying: ["absent", "cannot be opened"])
            }
        }
    }
}
