import Foundation
import Glibc
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("The watch", .serialized)
    struct WatchTests {
        private static func arguments(_ deployment: Deployment, _ more: [String]) -> [String] {
            [
                "watch", "--web", deployment.webs.map(\.description).joined(separator: ","), "--customer",
                "Mercy", "--login-pattern", "user%d", "--password-file", deployment.passwordFile,
                "--silent-after", "3",
            ] + more
        }

        private static func mail(_ peer: MailPeer) -> [String] {
            [
                "--mail-to", "ops@mercy.example", "--mail-from", "asm@mercy.example", "--mail-server",
                "127.0.0.1:\(peer.port)",
            ]
        }

        @Test(
            "mails nothing while all is well, once when everything is killed, and once when it is back",
            .timeLimit(.minutes(3)))
        func killedAndBack() async throws {
            let deployment = try await Deployment(users: 2)
            let peer = try await MailPeer()
            let status = deployment.passwordFile + ".status"
            let watch = try await Program.asm(
                Self.arguments(deployment, ["--every", "1", "--status-file", status] + Self.mail(peer)))
            try await Self.untilRounds(5, status)
            #expect(peer.mails.isEmpty)

            for server in deployment.services + deployment.webServers { try await server.kill() }
            let alarm = try #require(try await peer.until(mails: 1).first)
            #expect(alarm.header("Subject") == "ASM watch: nothing is delivered any more")
            #expect(alarm.to == ["ops@mercy.example"])
            #expect(alarm.body.contains(deployment.webs[0].description))
            try await Self.untilRounds(5, status)
            #expect(peer.mails.count == 1)

            // It does not look while they come back one after the other: some are there then, and others are not.
            watch.signal(SIGSTOP)
            for server in deployment.services + deployment.webServers { try await server.start() }
            try await deployment.untilConnected(servers: 2)
            watch.signal(SIGCONT)
            let recovery = try #require(try await peer.until(mails: 2).last)
            #expect(recovery.header("Subject") == "ASM watch: all is well again")
            try await Self.untilRounds(5, status)
            #expect(peer.mails.count == 2)
            #expect(Set(peer.mails.map(\.messageID)).count == 2)
            #expect(!watch.progress.value.isOver)
        }

        @Test("tells of one server that is gone, and keeps a mail that nobody takes", .timeLimit(.minutes(3)))
        func oneServer() async throws {
            let deployment = try await Deployment(users: 2)
            let port = try await MailPeer().port  // Gone again at once.
            try await deployment.services[1].kill()
            let watch = try await Program.asm(
                Self.arguments(
                    deployment,
                    [
                        "--every", "1", "--mail-to", "ops@mercy.example", "--mail-from", "asm@mercy.example",
                        "--mail-server", "127.0.0.1:\(port)",
                    ]))
            try await watch.progress.until("the mail should fail", within: .seconds(60)) { progress in
                progress.errorText.contains("could not be sent, and is tried again") ? true : nil
            }

            let peer = try await MailPeer([], on: port)
            let mail = try #require(try await peer.until(mails: 1).first)

            #expect(
                mail.header("Subject")
                    == "ASM watch: ASM Service \(deployment.services[1].address) is silent")
            #expect(peer.mails.count == 1)
        }

        @Test("says that it cannot log in, not that nothing is delivered", .timeLimit(.minutes(1)))
        func wrongPassword() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let wrong = deployment.passwordFile + ".wrong"
            try "not the password".write(toFile: wrong, atomically: true, encoding: .utf8)

            let ended = try await Program.run(
                Self.arguments(deployment, ["--once", "--password-file", wrong]))

            #expect(ended.exitStatus == 3)
            #expect(ended.outputText.contains("UNKNOWN: the watch cannot log in"), "\(ended.outputText)")
            #expect(!ended.outputText.contains("nothing is delivered"))
        }

        @Test("looks once for cron and Nagios, and remembers what it has told", .timeLimit(.minutes(3)))
        func looksOnce() async throws {
            let deployment = try await Deployment(users: 2)
            let peer = try await MailPeer()
            let files = [
                "--once", "--status-file", deployment.passwordFile + ".status", "--token-cache",
                deployment.passwordFile + ".tokens",
            ]
            func once() async throws -> Program.Progress {
                try await Program.run(
                    Self.arguments(deployment, files + Self.mail(peer)), within: .seconds(100))
            }

            let well = try await once()
            try await deployment.webServers[1].kill()
            let half = try await once()
            let again = try await once()
            try await deployment.webServers[0].kill()
            let dead = try await once()

            #expect(well.exitStatus == 0, "\(well.outputText)\(well.errorText)")
            #expect(well.outputText.contains("OK: all is well"))
            #expect(half.exitStatus == 1, "\(half.outputText)")
            #expect(half.outputText.contains("WARNING: Web Service \(deployment.webs[1]) is silent"))
            #expect(again.exitStatus == 1)
            #expect(dead.exitStatus == 2)
            #expect(dead.outputText.contains("CRITICAL"))
            #expect(
                peer.mails.compactMap { $0.header("Subject") } == [
                    "ASM watch: Web Service \(deployment.webs[1]) is silent",
                    "ASM watch: nothing is delivered any more",
                ])
            let wrong = try await Program.run(["watch", "--once", "--web", "nonsense"])
            #expect(wrong.exitStatus == 3)
        }

        /// Waits until the watch has looked so many times more.
        static func untilRounds(_ count: Int, _ file: String) async throws {
            var last: Int64 = 0
            var seen = 0
            let end = ContinuousClock.now + .seconds(100)
            while seen <= count {
                guard ContinuousClock.now < end else {
                    throw NotInTime(what: "the watch should look \(count) times", limit: .seconds(100))
                }
                let data = FileManager.default.contents(atPath: file) ?? Data()
                // Not being written yet is what is waited for.
                let now = (try? JSONDecoder().decode(Checked.self, from: data))?.checkedAt ?? last
                if now != last { seen += 1 }
                last = now
                try await Task.sleep(for: .milliseconds(50))
            }
        }

        private struct Checked: Decodable { let checkedAt: Int64 }
    }
}
