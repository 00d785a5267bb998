import NIOCore
import TestSupport
import Testing

@testable import SystemSupport

extension TimedTests {
    @Suite("The watch on a slow line")
    struct SlowLineTests {
        @Test(
            "tells of the one Web Service behind a slow line as slow, of nothing else, and of its recovery",
            .timeLimit(.minutes(3)))
        func slow() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await Deployment(users: 2)
                let (peer, weather) = (try await MailPeer(), Weather())
                let line = try await ChaosProxy(target: deployment.webServers[1].port) { weather.traffic() }
                let slow = "http://\(line.address)"
                let file = try SystemTests.WatchMailTests.settings(
                    [deployment.webs[0].description, slow], deployment, peer, in: folder,
                    ["slow": 0.5, "silentAfter": 8])
                let watch = try await Program.asm(["watch", "--config", file])
                try await SystemTests.WatchMailTests.untilRounds(2, folder)

                weather.turn(.slow(.milliseconds(400)))
                let alarm = try #require(try await peer.until(mails: 1, within: .seconds(60)).first)
                weather.turn(.fair)
                let recovery = try #require(try await peer.until(mails: 2, within: .seconds(60)).last)
                try await SystemTests.WatchMailTests.untilRounds(4, folder)

                #expect(alarm.header("Subject") == "ASM watch: Web Service \(slow) is slow", "\(watch.tail)")
                #expect(alarm.body.contains("Web Service \(slow): slow, delivered after"))
                #expect(alarm.body.contains("Web Service \(deployment.webs[0]): delivered within"))
                #expect(recovery.header("Subject") == "ASM watch: all is well again")
                #expect(peer.mails.count == 2, "\(SystemTests.WatchMailTests.subjects(peer))")
            }
        }
    }
}
