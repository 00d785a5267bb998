import Domain
import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Many clients, slow ones, and those that repeat themselves", .serialized)
    struct LoadRows {
        private static let herd = 2_000
        private static let herdLogins = 20
        private static let slowReaders = 1_000
        /// What one reader that does not read may cost the Web Service, and the system beside.
        private static let bytesPerSlowReader = 512 << 10

        @Test("F44: a Web Service dies under 2,000 clients", .timeLimit(.minutes(6)))
        func f44() async throws {
            try await runRow(
                "F44", injected: "2,000 further clients connected, then kill -9 of a Web Service",
                expected: "all back ≤ 15 s; those who write: gap ≤ 15 s; 0 lost, 0 doubled",
                Expectation(gap: .seconds(15), away: .seconds(15))
            ) { site, row in
                var herd: [Person] = []
                for index in 0..<Self.herd {
                    herd.append(try await site.person(41 + index % Self.herdLogins))
                }
                try await withThrowingTaskGroup(of: Void.self) { stays in
                    for (index, person) in herd.enumerated() {
                        if index % 50 == 0 { try await Task.sleep(for: .milliseconds(250)) }
                        stays.addTask { await person.stay(at: site.entrance) }
                    }
                    for person in herd {
                        try await person.state.until("the herd should be welcome", within: .seconds(60)) {
                            $0.isWelcome ? true : nil
                        }
                    }
                    row.inject()
                    let killed = ContinuousClock.now
                    try await site.webServers[0].kill()
                    try await Task.sleep(for: .seconds(1))
                    for person in herd {
                        // Whoever is not back is found below.
                        _ = try? await person.state.until("the herd should be back", within: .seconds(60)) {
                            $0.isWelcome ? true : nil
                        }
                    }
                    let back = herd.flatMap { person in
                        person.state.value.welcomeTimes.filter { $0 > killed }.map { $0 - killed }
                    }
                    let times = Times(back)
                    row.note(
                        "\(times.count) of the 2,000 lost their connection; back after (p50 / p99 / max) "
                            + "\(times.p50) / \(times.p99) / \(times.max) ms")
                    row.check(herd.allSatisfy(\.state.value.isWelcome), "not all came back")
                    row.check(times.count > 0, "nobody lost the connection")
                    row.check("the last of the herd", times.max, atMost: .seconds(15))
                    stays.cancelAll()
                }
                try await site.webServers[0].startServing()
            }
        }

        @Test("F43: 1,000 clients hardly read", .timeLimit(.minutes(6)))
        func f43() async throws {
            try await runRow(
                "F43", injected: "1,000 live clients that read 64 bytes a second, and 10 MB for each of them",
                expected: "each costs the Web Service ≤ 512 KiB and is told resync; others' gap ≤ 3 s",
                Expectation(gap: .seconds(3))
            ) { site, row in
                let web = site.webServers[0]
                // Otherwise the system would buffer megabytes for each.
                try await tool(
                    "/usr/sbin/sysctl", ["-q", "-w", "net.ipv4.tcp_wmem=4096 16384 65536"], on: web.host)
                let slow = try await site.person(70)
                let author = try await site.person(71)
                try await author.connect(to: site.webs[1])
                let thread = try await site.webs[1].createThread([author.login, slow.login])
                let readers = try await SlowReaders(
                    count: Self.slowReaders, at: web.web, as: slow.login)
                let before = try web.current?.residentBytes() ?? 0
                row.inject()
                let text = String(repeating: "x", count: 48_000)
                try await withThrowingTaskGroup { tasks in
                    tasks.addTask { try await readers.trickle(for: .seconds(28)) }
                    for _ in 0..<200 {
                        _ = await author.send(text, to: thread, id: .random())
                        try await Task.sleep(for: .milliseconds(100))
                    }
                    try await tasks.waitForAll()
                }
                let growth = (try web.current?.residentBytes() ?? 0) - before
                row.note("the Web Service grew by \(growth >> 20) MiB for 1,000 of them")
                row.check(
                    growth < Self.slowReaders * Self.bytesPerSlowReader, "it grew by \(growth >> 20) MiB")
                let ends = try await readers.drain(limit: 100)
                row.check(!ends.contains(.everythingCame), "some were sent everything")
                try await author.disconnect()
            }
        }

        @Test(
            "F40 and F41: the same id over both servers at once, and for another text",
            .timeLimit(.minutes(3)))
        func f40() async throws {
            try await runPlainRow(
                "F40", injected: "eight requests at once with one id, four over each Web Service; 20 rounds",
                expected: "one stores, seven are answered as its repeats, all with the same position"
            ) { site, row in
                let ann = try await site.person(1).login
                let thread = try await site.entrance.createThread([ann, try await site.person(2).login])
                for round in 0..<20 {
                    let key = ClientID.random()
                    let answers = try await Self.post(8, "round \(round)", key, to: thread, as: ann, site)
                    let fresh = answers.count { $0.body["replayed"] == .bool(false) }
                    row.check(answers.allSatisfy { $0.status == 201 }, "\(answers.map(\.status))")
                    row.check(fresh == 1, "\(fresh) said that they stored it")
                    row.check(
                        Set(answers.map { $0.body["position"] }).count == 1, "they were given several places")
                }
                let lines = try await site.webs[0].lines(of: thread, as: ann)
                row.check(lines.count(where: \.isMessage) == 20, "\(lines.count) lines in the end")
                row.set { ($0.sent, $0.acknowledged) = (160, 160) }
            }
        }

        @Test("F41: an id is used again for something else", .timeLimit(.minutes(3)))
        func f41() async throws {
            try await runPlainRow(
                "F41",
                injected: "an id that stored a message is sent with another text, and for another thread",
                expected: "refused as key-reused (422) at both Web Services, and nothing is stored"
            ) { site, row in
                let ann = try await site.person(1).login
                let bob = try await site.person(2).login
                let thread = try await site.entrance.createThread([ann, bob])
                let other = try await site.entrance.createThread([ann, bob])
                let key = ClientID.random()
                _ = try await Self.post(1, "first", key, to: thread, as: ann, site)
                let again =
                    try await Self.post(2, "second", key, to: thread, as: ann, site)
                    + Self.post(2, "first", key, to: other, as: ann, site)
                row.check(
                    again.allSatisfy { $0.status == 422 && $0.body["error"]["code"] == "key-reused" },
                    "\(again.map { "\($0.status) \($0.body)" })")
                let count = try await site.webs[0].lines(of: thread, as: ann).count(where: \.isMessage)
                let elsewhere = try await site.webs[1].lines(of: other, as: ann).count(where: \.isMessage)
                row.check(count == 1 && elsewhere == 0, "\(count) and \(elsewhere) messages in the end")
                row.set { ($0.sent, $0.acknowledged, $0.refused) = (5, 1, 4) }
            }
        }

        /// So many requests at once, over both Web Services in turn.
        private static func post(
            _ count: Int, _ text: String, _ key: ClientID, to thread: MessageThread.ID, as login: Web.Login,
            _ site: Site
        ) async throws -> [Web.Answer] {
            try await withThrowingTaskGroup { tasks in
                for index in 0..<count {
                    tasks.addTask {
                        try await site.webs[index % 2].call(
                            "POST", "/v1/threads/\(thread)/messages", as: login, key: key,
                            ["text": .string(text)])
                    }
                }
                return try await tasks.reduce(into: []) { $0.append($1) }
            }
        }

        @Test("F38: each request and each connection goes to another Web Service", .timeLimit(.minutes(4)))
        func f38() async throws {
            try await runRow(
                "F38", injected: "no stickiness at all, and every live connection is cut each 3 s",
                expected: "0 lost, 0 doubled; back ≤ 3 s; resumed from the other Web Service without a gap",
                Expectation(gap: .seconds(6), away: .seconds(3))
            ) { site, row in
                for _ in 0..<5 {
                    row.inject()
                    // Each reload of the balancer's process ends all connections.
                    try await site.balancer.kill()
                    try await site.balancer.start()
                    try await Task.sleep(for: .seconds(3))
                }
            }
        }
    }
}
