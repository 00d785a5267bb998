import Domain
import Foundation
import Glibc
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Licences, slots, and servers that are away for long", .serialized)
    struct LicenceRows {
        @Test("F05: an ASM Service stands still for so long that it is inactive", .timeLimit(.minutes(4)))
        func f05() async throws {
            try await runRow(
                "F05",
                injected:
                    "SIGSTOP of an ASM Service until its slot is another's, then SIGCONT; inactive after 12 s, two licences, a third server in Degraded Mode",
                expected:
                    "one incident and one mail; the third takes the slot; the woken one is degraded until a slot is free; gap ≤ 7 s, 0 reconnects",
                Expectation(gap: .seconds(7), reported: 1)
            ) { site, row in
                let installation = try site.installation()
                try await installation.license(servers: 2)
                let setUp = try site.eventSetUp()
                let peer = try await site.mailPeer()
                try await setUp.addEntry("Server Inactive", to: "ops@x.example", port: peer.port)
                let settings = ["--config", installation.shortTimesFile]
                try await site.restartServices(adding: settings)
                let third = try site.furtherService(
                    .asmB, port: 7_401, settings + ["--database", DatabaseCluster.url])
                try await third.startServing()
                try await installation.until(third.address, is: "degraded")
                let events = try await installation.events("Server Inactive")
                let server = site.services[0]

                row.inject()
                server.signal(SIGSTOP)
                try await installation.until(server.address, is: "inactive", within: .seconds(40))
                try await installation.until(third.address, is: "active")
                server.signal(SIGCONT)
                try await installation.until(server.address, is: "degraded")
                try await installation.until("the outage should be over") {
                    try await installation.incidents("inactive", open: true) == 0
                }
                try await third.stop()
                try await installation.until(server.address, is: "active")

                try await peer.until(mails: 1)
                let told = try await installation.events("Server Inactive") - events
                row.check(told == 1, "Server Inactive was raised \(told) times")
                row.check(peer.mails.count == 1, "\(peer.mails.count) mails came")
                try await setUp.removeEntries()
                try await installation.run("license", "remove")
            }
        }

        @Test("F35: ten ASM Services start at once, two are licensed", .timeLimit(.minutes(4)))
        func f35() async throws {
            try await runPlainRow(
                "F35",
                injected:
                    "ten ASM Services start at once on two hosts with two licences; then the two that serve are stopped",
                expected:
                    "two serve, eight are degraded and told once each; two others take over; all 200 messages stored, 0 lost"
            ) { site, row in
                let second = DatabaseCluster.secondName
                let primary = try await site.database.primary()
                try await site.database.sql("CREATE DATABASE \(second) OWNER asm", on: primary)
                // Who asks the standby first is told that there is none, until it has replayed this.
                let exists = "SELECT 'yes' FROM pg_database WHERE datname = '\(second)'"
                while try await !site.database.sql(exists, on: primary.otherDatabase).hasPrefix("yes") {
                    try await Task.sleep(for: .milliseconds(100))
                }
                let installation = try site.installation(second)
                try await Deployment.addUsers(
                    2, to: installation.databaseURL, passwordFile: site.passwordFile)
                try await installation.license(servers: 2)
                let servers = try (0..<10).map { number in
                    try site.furtherService(
                        number % 2 == 0 ? .asmA : .asmB, port: 7_410 + number,
                        ["--config", installation.shortTimesFile, "--database", installation.databaseURL])
                }
                row.inject()
                try await withThrowingDiscardingTaskGroup { tasks in
                    for server in servers { tasks.addTask { try await server.startServing() } }
                }
                let webServer = SiteServer(
                    .web1, port: 8_090, path: try Build.asm.path(),
                    [
                        "web-service", "--server", servers.map(\.address).joined(separator: ","), "--listen",
                        "\(Host.web1.address):8090",
                    ], environment: Site.plainText)
                try await webServer.startServing()
                try await Deployment.untilReady(webServer.web, servers: servers.count)
                try await installation.until("two should be active and eight degraded") {
                    try await installation.states() == ["active": 2, "degraded": 8]
                }
                let listed = try await installation.servers()
                let slots = Set(listed.values.compactMap { $0["slot"].integer })
                row.check(slots == [1, 2], "the slots in use are \(slots)")
                let active = servers.filter { listed[$0.address]?["state"].text == "active" }
                try await Self.takeOver(active, at: webServer.web, row)
                try await installation.until("two others should serve") {
                    try await installation.states() == ["active": 2, "degraded": 6, "stopped": 2]
                }
                let told = try await installation.events("Server Unlicensed")
                row.check(told == 8, "Server Unlicensed was raised \(told) times, not once for each of eight")
                for server in servers + [webServer] { try await server.kill() }
                try await site.database.sql("DROP DATABASE \(second) WITH (FORCE)", on: primary)
            }
        }

        /// Two people write while those who serve are stopped.
        private static func takeOver(_ active: [SiteServer], at web: Web, _ row: Row) async throws {
            let people = try await [
                web.logIn("user1", password: Site.password), web.logIn("user2", password: Site.password),
            ].map { Person($0) }
            for person in people { try await person.connect(to: web) }
            let talk = try await Talk(people, at: web)
            let record = Record()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 40, for: .seconds(5), in: record) }
                try await Task.sleep(for: .seconds(1))
                row.inject()
                for server in active { try await server.stop() }
                try await tasks.waitForAll()
            }
            let silence = Record.longestSilence(of: people)
            let verdict = try await Verdict.of([talk], record, at: [web])
            row.set { result in
                result.rate = 40
                result.sent = record.current.sends.count
                result.acknowledged = record.acknowledged
                result.unknown = result.sent - result.acknowledged
                (result.lost, result.doubled, result.reordered, result.otherBreaks) =
                    (verdict.lost, verdict.doubled, verdict.reordered, verdict.others)
                result.silence = Times([silence])
                result.visible = Times(verdict.visible)
            }
            row.check(verdict.broken.isEmpty, "\(verdict.broken.prefix(5))")
            row.check(record.acknowledged == 200, "\(record.acknowledged) of 200 were acknowledged")
            row.check("taking over", silence.wholeMilliseconds, atMost: .seconds(5))
            row.check(people.allSatisfy { $0.state.value.ends.isEmpty }, "a connection ended")
        }

        @Test("F36: the licence shrinks while they run", .timeLimit(.minutes(4)))
        func f36() async throws {
            try await runRow(
                "F36",
                injected: "a licence for one server takes the place of one for two; 8 s later one for two",
                expected:
                    "the highest slot is lost, told once, and given back: gap ≤ 5 s; 0 lost, 0 doubled, 0 reconnects",
                Expectation(gap: .seconds(5))
            ) { site, row in
                let installation = try site.installation()
                try await installation.license(servers: 2)
                let ours = Set(site.services.map(\.address))
                let states = { () async throws -> [String] in
                    try await installation.servers().filter { ours.contains($0.key) }
                        .compactMap { $0.value["state"].text }.sorted()
                }
                try await installation.until("both should be active") {
                    try await states() == ["active", "active"]
                }
                let before = try await installation.events("Server Unlicensed")
                row.inject()
                try await installation.license(servers: 1)
                let start = ContinuousClock.now
                try await installation.until("one should be degraded", within: .seconds(15)) {
                    try await states() == ["active", "degraded"]
                }
                row.note("degraded after \((ContinuousClock.now - start).wholeMilliseconds) ms")
                let active = try await installation.servers().values.first { $0["state"].text == "active" }
                row.check(
                    active?["slot"].integer == 1, "slot \(String(describing: active?["slot"])) was kept")
                try await Task.sleep(for: .seconds(8))
                row.inject()
                try await installation.license(servers: 2)
                try await installation.until("both should be active again") {
                    try await states() == ["active", "active"]
                }
                let told = try await installation.events("Server Unlicensed") - before
                row.check(told == 1, "Server Unlicensed was raised \(told) times")
                try await Task.sleep(for: .seconds(2))
                try await installation.run("license", "remove")
            }
        }
    }
}
