import Glibc
import Testing

@testable import ASMClient
@testable import Drill

@Suite("The watch")
struct WatchTests {
    private static let rules = WatchJudge.Rules(rounds: 2, remindEvery: .seconds(3_600))
    private static let well = WatchRound(
        webs: ["a": .well(seconds: 0.1), "b": .well(seconds: 0.1)], servers: ["s": .well(seconds: 0.1)])
    private static let half = WatchRound(webs: ["a": .well(seconds: 0.1), "b": .silent(reason: "gone")])
    private static let slow = WatchRound(webs: ["a": .slow(seconds: 9), "b": .well(seconds: 0.1)])
    private static let dead = WatchRound(webs: ["a": .silent(reason: "gone"), "b": .silent(reason: "gone")])

    /// The notices of rounds a minute apart.
    private static func notices(_ rounds: [WatchRound], _ rules: WatchJudge.Rules = rules) -> [WatchNotice] {
        var judge = WatchJudge()
        return rounds.enumerated().compactMap { judge.take($1, at: Int64($0) * 60_000, rules) }
    }

    @Test("says nothing while all is well, and nothing of what is gone before it is sure")
    func quiet() {
        #expect(Self.notices([Self.well, Self.well, Self.well]).isEmpty)
        #expect(Self.notices([Self.well, Self.dead, Self.well, Self.well]).isEmpty)
    }

    @Test("tells a death once and the recovery once, also where the dying took two rounds")
    func once() {
        let notices = Self.notices(
            [
                Self.well, Self.half, Self.dead, Self.dead, Self.dead, Self.dead, Self.well, Self.well,
                Self.well,
            ])

        #expect(notices.map(\.kind) == [.alarm, .recovery])
        #expect(notices.map(\.condition) == [.silent, .well])
        #expect(notices.map(\.since) == [120_000, 360_000])
        #expect(notices.last?.badSince == 120_000)
    }

    @Test("a log-in that is refused is told as that, and a death after it as a death")
    func refused() {
        let refused = WatchRound(webs: [:], refusal: "Customer, login or password is wrong.")
        #expect(
            Self.notices([refused, refused, Self.dead, Self.dead]).map(\.subject) == [
                "ASM watch: the watch cannot log in", "ASM watch: nothing is delivered any more",
            ])
        #expect(Self.notices([refused, refused])[0].body.contains("login or password is wrong"))
    }

    @Test("tells a deployment that is dead from the start")
    func deadAtStart() {
        #expect(
            Self.notices([Self.dead, Self.dead]).map(\.subject) == [
                "ASM watch: nothing is delivered any more"
            ])
    }

    @Test("tells each change once: a part is silent, then another is slow, then all are silent")
    func changes() {
        let notices = Self.notices(
            [
                Self.half, Self.half, Self.half, Self.slow, Self.slow, Self.dead, Self.dead, Self.well,
                Self.well,
            ])

        #expect(
            notices.map(\.subject) == [
                "ASM watch: Web Service b is silent", "ASM watch: Web Service a is slow",
                "ASM watch: nothing is delivered any more", "ASM watch: all is well again",
            ])
    }

    @Test("reminds each hour while it lasts, and not after")
    func reminds() {
        let hours =
            [WatchRound](repeating: Self.dead, count: 130) + [WatchRound](repeating: Self.well, count: 100)

        let notices = Self.notices(hours)

        #expect(notices.map(\.kind) == [.alarm, .reminder, .reminder, .recovery])
        #expect(notices[1].subject == "ASM watch: nothing is delivered any more (still)")
        #expect(Set(notices.map(\.id)).count == 4)
    }

    @Test("tells what is never twice the same, too, but does not mail each round")
    func restless() {
        let changing = (0..<12).flatMap { _ in [Self.half, Self.dead, Self.slow, Self.well] }

        let notices = Self.notices(changing)

        #expect(notices.count == 1)
        #expect(notices.first?.kind == .alarm)
    }

    @Test("puts a round together: what Web Services cannot reach is silent, what takes long is slow")
    func round() throws {
        let webs = try [WebAddress("http://a"), WebAddress("http://b"), WebAddress("http://c")]
        var good = WatchProbe.Result()
        good.slowest = .milliseconds(40)
        good.deliveries = ["s1": .milliseconds(40)]
        good.status.servers = [server("s1", "healthy"), server("s2", "unreachable")]
        var slow = good
        slow.slowest = .seconds(6)
        slow.deliveries = ["s1": .seconds(6)]

        let round = Watch.round(
            webs, [.success(good), .success(slow), .failure(WatchProbe.Failure(description: "gone"))],
            slow: .seconds(5))

        #expect(round.webs["http://a"] == .well(seconds: 0.04))
        #expect(round.webs["http://b"] == .slow(seconds: 6))
        #expect(round.webs["http://c"] == .silent(reason: "gone"))
        #expect(round.servers["s1"] == .well(seconds: 0.04))
        #expect(
            round.condition
                == .troubled([
                    "ASM Service s2 is silent", "Web Service http://b is slow",
                    "Web Service http://c is silent",
                ]))
    }

    @Test(
        "blames who is slow for all: a Web Service not for a slow server, a server not for a slow Web Service"
    )
    func blame() throws {
        let webs = try [WebAddress("http://a"), WebAddress("http://b")]
        func condition(_ a: [String: Int], _ b: [String: Int]) -> WatchCondition {
            let probes = [a, b].map { seconds in
                var result = WatchProbe.Result()
                result.deliveries = seconds.mapValues { .seconds($0) }
                result.slowest = result.deliveries.values.max() ?? .zero
                return Result<WatchProbe.Result, any Error>.success(result)
            }
            return Watch.round(webs, probes, slow: .seconds(5)).condition
        }

        #expect(
            condition(["s": 9, "t": 9], ["s": 1, "t": 1]) == .troubled(["Web Service http://a is slow"]))
        #expect(condition(["s": 9, "t": 1], ["s": 8, "t": 1]) == .troubled(["ASM Service s is slow"]))
        #expect(
            condition(["s": 9, "t": 1], ["s": 1, "t": 1]) == .troubled(["Web Service http://a is slow"]))
        #expect(condition(["s": 1, "t": 1], ["s": 1, "t": 1]) == .well)
    }

    private func server(_ address: String, _ state: String) -> DeploymentStatus.Server {
        var server = DeploymentStatus.Server()
        (server.address, server.state) = (address, state)
        return server
    }

    @Test("a mail says what, since when, and how everything was found")
    func mail() throws {
        let notice = try #require(Self.notices([Self.dead, Self.dead]).first)

        #expect(notice.body.contains("No Web Service delivers messages"))
        #expect(notice.body.contains("Since 1970-01-01 00:00:00.000 UTC."))
        #expect(notice.body.contains("Web Service a: silent (gone)"))
    }

    @Test("what was told outlives a restart in the status file")
    func keeps() throws {
        let path = "/tmp/asm-watch-\(Int.random(in: 0..<1_000_000_000)).json"
        defer { unlink(path) }
        var status = WatchStatus()
        status.round = Self.dead
        _ = status.judge.take(Self.dead, at: 0, Self.rules)
        status.unsent = status.judge.take(Self.dead, at: 1, Self.rules)

        try status.write(path)
        let read = WatchStatus.read(path)

        #expect(read.judge == status.judge)
        #expect(read.unsent == status.unsent)
        #expect(WatchStatus.read("/nowhere").judge.told == .well)
    }
}
