import Domain
import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Everything in one process, on SQLite", .serialized)
    struct EmbeddedRows {
        private static let port = 8_099
        private static let diskBytes = 24 << 20
        private static let ballastBytes = 12 << 20

        @Test("F24: SQLite is killed, finds no room, and cannot sync", .timeLimit(.minutes(4)))
        func f24() async throws {
            try await runPlainRow(
                "F24",
                injected: "`asm up` killed under load, on a full disk, and with fsync answered EIO (strace)",
                expected:
                    "what cannot be stored is refused for now; after each restart all that was acknowledged is there"
            ) { site, row in
                let folder = site.folder + "/embedded"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try await tool(
                    "/usr/bin/mount", ["-t", "tmpfs", "-o", "size=\(Self.diskBytes)", "none", folder])
                let ballast = URL(fileURLWithPath: folder + "/ballast")
                try Data(count: Self.ballastBytes).write(to: ballast)
                try await Deployment.addUsers(
                    2, to: "sqlite:\(folder)/asm.sqlite", passwordFile: site.passwordFile)
                let web = Web(port: Self.port)
                let record = Record()
                var server = try await Self.start(in: folder)
                let people = try await [
                    web.logIn("user1", password: Site.password), web.logIn("user2", password: Site.password),
                ]
                .map { Person($0) }
                let talk = try await Talk(people, at: web)

                // Killed while it commits.
                for _ in 0..<2 {
                    try await Self.write(talk, at: web, count: 200, in: record) { try await server.kill() }
                    server = try await Self.start(in: folder)
                }
                // No room: refused for now, and read all the same; with room again, stored.
                let refused = try await Self.fill(talk, at: web, in: record)
                row.note("\(refused) messages were refused for now on the full disk")
                row.check(refused > 0, "the disk did not become full")
                let read = try await web.call("GET", "/v1/me", as: people[0].login).status
                row.check(read == 200, "a request that only reads was answered \(read) on the full disk")
                try FileManager.default.removeItem(at: ballast)
                await Self.one("there is room again", talk, record)
                try await server.kill()

                // From its tenth sync on, the disk says that it failed.
                server = try await Self.start(in: folder, throughStrace: true)
                try await Self.write(talk, at: web, count: 30, in: record) {}
                try await server.kill()
                server = try await Self.start(in: folder)
                for person in people { try await person.connect(to: web) }
                await Self.one("after all", talk, record)
                let verdict = try await Verdict.of([talk], record, at: [web], live: false)
                row.set { result in
                    result.sent = record.current.sends.count
                    result.acknowledged = record.acknowledged
                    result.unknown = result.sent - result.acknowledged
                    (result.lost, result.doubled, result.reordered, result.otherBreaks) =
                        (verdict.lost, verdict.doubled, verdict.reordered, verdict.others)
                }
                row.check(verdict.broken.isEmpty, "\(verdict.broken.prefix(5))")
                try await server.kill()
                try await tool("/usr/bin/umount", [folder])
            }
        }

        private static func start(in folder: String, throughStrace: Bool = false) async throws -> Program {
            let arguments = ["up", "--data", folder, "--web-port", "\(port)"]
            let asm = try Build.asm.path()
            let program =
                throughStrace
                ? try await Program(
                    "asm up", path: "/usr/bin/strace",
                    [
                        "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
                        "inject=fsync,fdatasync:error=EIO:when=10+", asm,
                    ] + arguments)
                : try await Program("asm up", path: asm, arguments)
            _ = try await program.port()
            return program
        }

        /// Both write by turns, each message tried once; `meanwhile` happens after half of them.
        private static func write(
            _ talk: Talk, at web: Web, count: Int, in record: Record, _ meanwhile: () async throws -> Void
        ) async throws {
            for person in talk.people where !person.state.value.isWelcome {
                try await person.connect(to: web)
            }
            try await withThrowingDiscardingTaskGroup { tasks in
                for index in 0..<count {
                    if index == count / 2 { try await meanwhile() }
                    let person = talk.people[index % talk.people.count]
                    tasks.addTask {
                        await person.insist("\(index)", to: talk.thread, in: record, for: .seconds(1))
                    }
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
        }

        /// Writes long messages until some are refused; answers how many.
        private static func fill(_ talk: Talk, at web: Web, in record: Record) async throws -> Int {
            for person in talk.people where !person.state.value.isWelcome {
                try await person.connect(to: web)
            }
            let text = String(repeating: "x", count: 48_000)
            var refused = 0
            for _ in 0..<600 where refused < 3 {
                let id = ClientID.random()
                let invoked = ContinuousClock.now
                let outcome: DeliveryHistory.Outcome
                switch await talk.people[0].send(text, to: talk.thread, id: id) {
                case .accepted(let position, let number):
                    outcome = .acknowledged(position: position, number: number)
                case .refused, .none:
                    outcome = .unknown
                    refused += 1
                }
                record.add(
                    .init(
                        id: id, author: talk.people[0].name, thread: talk.thread, invoked: invoked,
                        answered: .now, outcome: outcome))
            }
            return refused
        }

        private static func one(_ text: String, _ talk: Talk, _ record: Record) async {
            await talk.people[1].insist(text, to: talk.thread, in: record, for: .seconds(20))
        }
    }
}
