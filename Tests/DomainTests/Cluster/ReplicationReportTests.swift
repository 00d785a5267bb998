import Domain
import Testing

@Suite("Whether an acknowledged message can be lost")
struct ReplicationReportTests {
    private static func facts(
        commit: String = "on", names: String = "", fsync: String = "on", idleSlots: Int = 0,
        standbys: [String] = []
    ) -> ReplicationFacts {
        ReplicationFacts(
            synchronousCommit: commit, synchronousStandbyNames: names, fsync: fsync, idleSlots: idleSlots,
            standbys: standbys.map {
                ReplicationReport.Standby(
                    name: "s", syncState: $0, state: "streaming", lagBytes: 0, lagMicroseconds: nil)
            })
    }

    @Test("no: only where every answer waits for a standby's disk")
    func no() {
        #expect(Self.facts(names: "*", standbys: ["sync"]).report.canLose == .no)
        #expect(
            Self.facts(commit: "remote_apply", names: "ANY 1 (*)", standbys: ["quorum"]).report.canLose == .no
        )
        #expect(Self.facts(names: "pg2").report.canLose == .no)
        #expect(
            Self.facts(names: "*", standbys: ["sync"]).report.statement
                == "An acknowledged message can be lost: no. Every answer waits for a synchronous standby.")
    }

    @Test("yes: asynchronous replication, or durability switched off")
    func yes() {
        #expect(Self.facts(standbys: ["async"]).report.canLose == .yes)
        #expect(Self.facts(idleSlots: 1).report.canLose == .yes)
        #expect(Self.facts(commit: "local", names: "*", standbys: ["sync"]).report.canLose == .yes)
        #expect(Self.facts(commit: "remote_write", names: "*", standbys: ["sync"]).report.canLose == .yes)
        #expect(Self.facts(commit: "off", names: "*", standbys: ["sync"]).report.canLose == .yes)
        #expect(Self.facts(names: "*", fsync: "off", standbys: ["sync"]).report.canLose == .yes)
    }

    @Test("unknown: where the database does not tell")
    func unknown() {
        #expect(Self.facts().report.canLose == .unknown)
        #expect(Self.facts(names: "*", standbys: [""]).report.canLose == .unknown)
    }
}

@Suite("Dates of licences")
struct LicenceDateTests {
    @Test(
        "are read as they are written",
        arguments: [0, 951_782_400, 1_795_000_000, 1_798_761_599, 4_102_444_800] as [Int64])
    func same(seconds: Int64) {
        let time = Timestamp(microseconds: seconds * 1_000_000)
        #expect(Timestamp(iso8601: CalendarTime(time).iso8601) == time)
    }

    @Test("a day alone is its beginning")
    func day() {
        #expect(Timestamp(iso8601: "2000-02-29") == Timestamp(microseconds: 951_782_400_000_000))
    }

    @Test(
        "what is no date is none",
        arguments: [
            "", "2026-13-01", "2026-02-29", "2026-00-10", "2026-01-00", "2026-1-1", "tomorrow",
            "2026-11-24T24:00:00Z", "2026-11-24T13:05:09", "2026-11-24 13:05:09Z", "2026-11-24T13:05:09Zx",
            "1969-12-31",
        ])
    func none(text: String) {
        #expect(Timestamp(iso8601: text) == nil)
    }
}
