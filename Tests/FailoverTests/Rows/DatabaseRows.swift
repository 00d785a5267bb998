import Glibc
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("The database and its failover", .serialized)
    struct DatabaseRows {
        @Test("F13: the primary's PostgreSQL is killed", .timeLimit(.minutes(5)))
        func f13() async throws {
            try await runRow(
                "F13", injected: "kill -9 of the primary's postmaster; Patroni lives",
                expected: "gap ≤ 30 s; 0 lost, 0 doubled, 0 reconnects", Expectation(gap: .seconds(30))
            ) { site, row in
                let primary = try await site.database.primary()
                row.inject()
                try await site.database.killPostmaster(primary)
                try await Self.untilWritable(site, row)
            }
        }

        @Test("F14: the primary's host is lost", .timeLimit(.minutes(5)))
        func f14() async throws {
            try await runRow(
                "F14",
                injected: "the primary's cable is pulled, then PostgreSQL and Patroni there are killed",
                expected: "gap ≤ 35 s; 0 lost, 0 doubled, 0 reconnects", Expectation(gap: .seconds(35))
            ) { site, row in
                let primary = try await site.database.primary()
                row.inject()
                try await site.database.lose(primary)
                try await Self.untilWritable(site, row)
            }
        }

        @Test("F15: the primary loses etcd", .timeLimit(.minutes(5)))
        func f15() async throws {
            try await runRow(
                "F15", injected: "packets between the primary and etcd are dropped for 45 s",
                expected: "gap ≤ 35 s (none with failsafe mode); one writer at a time; 0 lost",
                Expectation(gap: .seconds(35))
            ) { site, row in
                let primary = try await site.database.primary()
                row.inject()
                try await Network.cut(primary, from: [.etcd])
                try await Task.sleep(for: .seconds(45))
                try await Network.heal(primary)
                let now = try await site.database.primary()
                row.note(now == primary ? "the primary stayed" : "the other one became primary")
            }
        }

        @Test("F16: the primary's host stands still for 40 s", .timeLimit(.minutes(5)))
        func f16() async throws {
            try await runRow(
                "F16", injected: "SIGSTOP of PostgreSQL and Patroni on the primary, SIGCONT 40 s later",
                expected: "gap ≤ 40 s; the woken primary acknowledges nothing; 0 lost, 0 doubled",
                Expectation(gap: .seconds(40))
            ) { site, row in
                let primary = try await site.database.primary()
                row.inject()
                try await site.database.signal(SIGSTOP, primary)
                try await Task.sleep(for: .seconds(40))
                try await site.database.signal(SIGCONT, primary)
                try await Task.sleep(for: .seconds(5))
            }
        }

        @Test("F18: failover with asynchronous replication", .timeLimit(.minutes(6)))
        func f18() async throws {
            try await runRow(
                "F18",
                injected: "synchronous mode off, replication cut, and 3 s later the primary's host lost",
                expected: "the checker finds lost messages, and this row fails if it does not; gap ≤ 60 s",
                Expectation(gap: .seconds(60), mayLose: true, allAcknowledged: false)
            ) { site, row in
                try await site.database.configure([
                    "synchronous_mode": .bool(false), "maximum_lag_on_failover": 104_857_600,
                ])
                try await Self.untilAsynchronous(site)
                try await Self.checkStatement("yes", row)
                let primary = try await site.database.primary()
                try await Network.cut(primary, from: [primary.otherDatabase])
                try await Task.sleep(for: .seconds(3))
                row.inject()
                try await site.database.lose(primary)
                try await Network.heal(primary)
                try await Self.untilWritable(site, row)
                // The lost one would come back as a standby of another history only.
                try await site.database.configure(["synchronous_mode": .bool(true)])
            }
            let lost = try RowResult.read("F18").lost
            #expect(lost > 0, "nothing was lost, so this run proves nothing about the checker")
        }

        @Test("F19: the synchronous standby is lost", .timeLimit(.minutes(5)))
        func f19() async throws {
            try await runRow(
                "F19",
                injected: "the standby's cable is pulled, then PostgreSQL and Patroni there are killed",
                expected: "commits wait until the primary goes on alone: gap ≤ 20 s; 0 lost, 0 doubled",
                Expectation(gap: .seconds(20))
            ) { site, row in
                let standby = try await site.database.primary().otherDatabase
                try await Self.checkStatement("no", row)
                row.inject()
                try await site.database.lose(standby)
                try await Self.untilWritable(site, row)
            }
        }

        @Test("F20: waits for the standby are cancelled, then the primary is lost", .timeLimit(.minutes(5)))
        func f20() async throws {
            try await runRow(
                "F20",
                injected:
                    "replication cut, each commit's wait cancelled (pg_cancel_backend), 2 s later the primary lost",
                expected:
                    "nothing that was not replicated is acknowledged: 0 lost, 0 doubled in the end; gap ≤ 40 s",
                Expectation(gap: .seconds(40), mayVanishLive: true)
            ) { site, row in
                let primary = try await site.database.primary()
                row.inject()
                try await Network.cut(primary, from: [primary.otherDatabase])
                let cancel = """
                    SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'
                    """
                var cancelled = 0
                for _ in 0..<10 {
                    let text = try await site.database.sql(cancel, on: primary)
                    cancelled += Int(text.split(separator: "\n").first ?? "") ?? 0
                    try await Task.sleep(for: .milliseconds(100))
                }
                row.note("\(cancelled) waits were cancelled")
                row.check(cancelled > 0, "no commit waited for the standby")
                try await site.database.lose(primary)
                try await Network.heal(primary)
                try await Self.untilWritable(site, row)
            }
        }

        @Test("F51: both databases are gone for a while", .timeLimit(.minutes(5)))
        func f51() async throws {
            try await runRow(
                "F51",
                injected: "PostgreSQL and Patroni are killed on both hosts, and started again 20 s later",
                expected: "nothing acknowledged meanwhile; served ≤ 10 s after the database; 0 lost",
                Expectation(gap: .seconds(90))
            ) { site, row in
                row.inject()
                for host in Host.databases { try await site.database.signal(SIGKILL, host) }
                try await Task.sleep(for: .seconds(20))
                try await site.database.start()
                _ = try await site.database.primary()
                let back = ContinuousClock.now
                try await Self.untilWritable(site, row)
                row.note(
                    "written again \((ContinuousClock.now - back).wholeMilliseconds) ms after the database")
            }
        }

        /// Waits until the deployment takes messages again.
        static func untilWritable(_ site: Site, _ row: Row) async throws {
            let end = ContinuousClock.now + .seconds(120)
            let person = try await site.bystander()
            var last = ""
            while ContinuousClock.now < end {
                // Making a thread is a write.
                do {
                    _ = try await site.entrance.createThread([person.login])
                    return
                } catch { last = "\(error)" }
                try await Task.sleep(for: .milliseconds(200))
            }
            throw NotInTime(what: "something should be stored again (\(last))", limit: .seconds(120))
        }

        /// What `asm servers` says of the replication.
        private static func checkStatement(_ answer: String, _ row: Row) async throws {
            let text = try await Program.run([
                "servers", "--database", DatabaseCluster.url, "--allow-plain-database",
            ]).outputText
            let line = text.split(separator: "\n").first { $0.contains("can be lost") } ?? text[...]
            row.note("`asm servers`: “\(line)”")
            row.check(line.contains("can be lost: \(answer)"), "`asm servers` said: \(text)")
        }

        private static func untilAsynchronous(_ site: Site) async throws {
            let primary = try await site.database.primary()
            for _ in 0..<120 {
                let names = try await site.database.sql("SHOW synchronous_standby_names", on: primary)
                if names.split(separator: "\n").isEmpty { return }
                try await Task.sleep(for: .milliseconds(250))
            }
            throw NotInTime(what: "replication should be asynchronous", limit: .seconds(30))
        }
    }
}
