import Domain
import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Clocks that are wrong", .serialized)
    struct ClockRows {
        /// How far a message's time may be from the database's.
        private static let tolerance = 60.0

        @Test("F33: an ASM Service's clock is wrong, and jumps", .timeLimit(.minutes(4)))
        func f33() async throws {
            try await runRow(
                "F33", injected: "asm-a started 10 min fast; live jumps to 10 min slow, 1 h fast, 1 h slow",
                expected: "nobody notices: gap ≤ 3 s; messages carry the database's time; 0 reconnects",
                Expectation(gap: .seconds(3))
            ) { site, row in
                let file = site.folder + "/clock"
                try "+600".write(toFile: file, atomically: true, encoding: .utf8)
                let server = site.services[0]
                try await server.kill()
                server.live(with: FakeClock.environment(file: file))
                try await server.startServing()
                try await site.untilServing()
                for offset in ["+600", "-600", "+3600", "-3600"] {
                    row.inject()
                    try offset.write(toFile: file, atomically: true, encoding: .utf8)
                    try await Task.sleep(for: .seconds(4))
                }
                try await Self.checkTimes(site, row)
            }
        }

        @Test("F34: the database fails over to a host whose clock is 11 min fast", .timeLimit(.minutes(6)))
        func f34() async throws {
            try await runRow(
                "F34",
                injected:
                    "the standby's PostgreSQL runs 11 min fast, then the primary's host is lost; inactive after 12 s",
                expected: "gap ≤ 35 s; 0 lost; nobody's session ends; no server is reported as inactive",
                Expectation(gap: .seconds(35))
            ) { site, row in
                // Times so short that whoever trusted the new clock would tell at once.
                try await site.restartServices(adding: ["--config", site.installation().shortTimesFile])
                let primary = try await site.database.primary()
                let standby = primary.otherDatabase
                try site.database.setClock(standby, "+11m")
                try await site.database.kill(standby)
                try await site.database.start()
                try await Self.untilStreaming(from: primary, to: standby, site)
                row.inject()
                try await site.database.lose(primary)
                try await DatabaseRows.untilWritable(site, row)
                let ahead = try await Self.secondsAhead(standby, site)
                row.note("the new primary's clock is \(Int(ahead)) s fast")
                row.check(ahead > 600, "the clock was not wrong")
                // Four sightings.
                try await Task.sleep(for: .seconds(8))
                try site.database.setClock(standby, nil)
            }
            // Its log has times that are yet to come.
            await Site.spoil()
        }

        /// How far a database's clock is ahead of this machine's; far behind when it does not answer.
        private static func secondsAhead(_ host: Host, _ site: Site) async throws -> Double {
            let clock = try await site.database.sql("SELECT extract(epoch FROM now())::bigint", on: host)
            return (Double(clock.split(separator: "\n").first ?? "") ?? 0) - Date.now.timeIntervalSince1970
        }

        /// Waits until the standby is there again under its new clock, and is waited for by commits.
        ///
        /// By PostgreSQL's own word: Patroni's is that of before for some seconds.
        private static func untilStreaming(from primary: Host, to standby: Host, _ site: Site) async throws {
            let streams =
                "SELECT 'yes' FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'"
            for _ in 0..<240 {
                if try await secondsAhead(standby, site) > 600,
                    try await site.database.sql(streams, on: primary).hasPrefix("yes")
                {
                    return try await site.database.untilReplicating()
                }
                try await Task.sleep(for: .milliseconds(250))
            }
            throw NotInTime(what: "the standby should follow by its new clock", limit: .seconds(60))
        }

        /// Reads a thread back and compares its times with this machine's clock, which is the database's, too.
        private static func checkTimes(_ site: Site, _ row: Row) async throws {
            let ann = try await site.person(1).login
            let thread = try await site.entrance.createThread([ann])
            for index in 0..<10 {
                try await site.webs[index % 2].ask(
                    "POST", "/v1/threads/\(thread)/messages", as: ann, key: .random(), ["text": "what time?"])
            }
            let entries = try await site.webs[0].history(of: thread, as: ann)
            let now = Date.now.timeIntervalSince1970
            let off =
                entries.compactMap { $0["at"].integer }.map { abs(Double($0) / 1_000 - now) }.max()
                ?? .infinity
            row.check(off < tolerance, "a message's time is off by \(Int(off)) s")
        }
    }
}
