import Domain
import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Databases that are short of something, locked, or restored", .serialized)
    struct StorageRows {
        @Test("F22: the database has too few connections", .timeLimit(.minutes(4)))
        func f22() async throws {
            try await runRow(
                "F22", injected: "the role asm may have 24 connections, and both ASM Services are restarted",
                expected: "pools make do with what there is: gap ≤ 10 s; 0 lost, 0 doubled, 0 reconnects",
                Expectation(gap: .seconds(10))
            ) { site, row in
                let primary = try await site.database.primary()
                try await site.database.sql("ALTER ROLE asm CONNECTION LIMIT 24", on: primary)
                for server in site.services {
                    row.inject()
                    try await server.kill()
                    try await server.startServing()
                    try await Task.sleep(for: .seconds(4))
                }
                let count = try await site.database.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = 'asm'", on: primary)
                row.note("\(count.trimmingCharacters(in: .whitespacesAndNewlines)) connections in the end")
                try await site.database.sql("ALTER ROLE asm CONNECTION LIMIT -1", on: primary)
            }
        }

        @Test("F23: somebody holds the log's lock and does nothing", .timeLimit(.minutes(4)))
        func f23() async throws {
            try await runRow(
                "F23",
                injected: "a psql session locks every log's head and then sits idle in its transaction",
                expected:
                    "refused for now after 3 s each; PostgreSQL ends that session after 10 s: gap ≤ 14 s; 0 lost",
                Expectation(gap: .seconds(14))
            ) { site, row in
                let primary = try await site.database.primary()
                let holder = try await site.database.psql(
                    ["BEGIN", "SELECT 1 FROM log_head FOR UPDATE", #"\echo held"#, #"\! sleep 20"#],
                    on: primary)
                try await holder.progress.until("the lock should be held") {
                    $0.outputText.contains("held") ? true : nil
                }
                row.inject()
                try await Task.sleep(for: .seconds(22))
                try await holder.kill()
            }
        }

        @Test("F49: ASM Services that cannot start", .timeLimit(.minutes(4)))
        func f49() async throws {
            try await runRow(
                "F49", injected: "ASM Services with a wrong password, an absent database, and a port in use",
                expected: "each ends by itself with one line that says why, and registers nowhere; gap ≤ 1 s",
                Expectation(gap: .seconds(1))
            ) { site, row in
                let primary = try await site.database.primary()
                let registered = { () async throws -> String in
                    try await site.database.sql(
                        "SELECT count(*) FROM server", on: primary, database: DatabaseCluster.name)
                }
                let before = try await registered()
                row.inject()
                let listen = "\(Host.asmA.address):7499"
                for (url, listen) in [
                    (DatabaseCluster.url.replacingOccurrences(of: "CHANGE-ME", with: "WRONG"), listen),
                    (DatabaseCluster.url + "nowhere", listen),
                    (DatabaseCluster.url, site.services[0].address),
                ] {
                    let program = try await Program(
                        "asm service", path: try Build.asm.path(),
                        ["service", "--database", url, "--listen", listen], on: Host.asmA.name,
                        environment: Site.plainText)
                    let ended = try await program.ended(within: .seconds(30))
                    row.check(ended.exitStatus != 0, "it ended with status 0")
                    let lines = ended.errorText.split(separator: "\n").filter { $0.hasPrefix("Error: ") }
                    row.check(lines.count == 1, "it said: \(ended.errorText)")
                }
                let after = try await registered()
                row.check(before == after, "\(before) servers before, \(after) after")
            }
        }

        @Test("F58: the database is restored from a backup", .timeLimit(.minutes(6)))
        func f58() async throws {
            try await runPlainRow(
                "F58",
                injected:
                    "dump, 100 more messages, both ASM Services stopped, restore, `asm log new-epoch --all`",
                expected:
                    "everybody who had seen more is told to resync; what is sent from then on is seen by all"
            ) { site, row in
                let people = try await site.people(6)
                let crowd = try await Crowd(people, at: site.entrance)
                try await withThrowingTaskGroup(of: Void.self) { stays in
                    for person in people { stays.addTask { await person.stay(at: site.entrance) } }
                    try await crowd.untilWelcome()
                    let thread = crowd.talks[0].thread
                    for _ in 0..<20 {
                        await people[0].insist("kept", to: thread, in: Record(), for: .seconds(20))
                    }
                    try await Self.restore(site, row) {
                        for _ in 0..<100 {
                            await people[0].insist("gone", to: thread, in: Record(), for: .seconds(20))
                        }
                        try await people[1].untilSeen(120)
                    }
                    let heads = people.map(\.state.value.cursor)
                    let record = Record()
                    for _ in 0..<20 {
                        await people[0].insist("after", to: thread, in: record, for: .seconds(60))
                    }
                    let lines = try await site.webs[0].lines(of: thread, as: people[0].login)
                    let seen = people[1].state.value.seen.filter { $0.thread == thread && $0.isMessage }
                        .suffix(20)
                    row.check(lines.count(where: \.isMessage) == 40, "\(lines.count) lines after the restore")
                    row.check(record.acknowledged == 20, "\(record.acknowledged) were acknowledged after it")
                    row.check(
                        seen.map(\.clientID) == record.current.sends.map(\.id),
                        "not all that came after was seen")
                    row.check(
                        people.allSatisfy { $0.state.value.resyncs == 1 },
                        "resyncs: \(people.map(\.state.value.resyncs))")
                    row.check(heads.allSatisfy { $0 != nil }, "nobody had a cursor")
                    row.set { ($0.sent, $0.acknowledged) = (140, 140) }
                    stays.cancelAll()
                }
            }
            await Site.spoil()
        }

        /// Takes a backup, lets more happen, and puts the backup back as an operator does.
        private static func restore(
            _ site: Site, _ row: Row, _ meanwhile: @Sendable () async throws -> Void
        ) async throws {
            let primary = try await site.database.primary()
            let place = site.folder + "/databases/\(primary.name)"
            let dump = "\(place)/asm.dump"
            try await site.database.run("pg_dump", ["-h", place, "-Fc", "-f", dump, "asm"])
            try await meanwhile()
            row.inject()
            for server in site.services { try await server.stop() }
            try await site.database.sql(
                "DROP DATABASE asm WITH (FORCE)", "CREATE DATABASE asm OWNER asm", on: primary)
            try await site.database.run("pg_restore", ["-h", place, "-d", "asm", dump])
            let ended = try await Program.run([
                "log", "new-epoch", "--all", "--database", DatabaseCluster.url, "--allow-plain-database",
            ])
            guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
            row.note(ended.outputText.trimmingCharacters(in: .whitespacesAndNewlines))
            for server in site.services { try await server.startServing() }
            try await site.untilServing()
        }
    }
}
