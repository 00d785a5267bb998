import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    /// With real ASM Services, a real Web Service and real mail servers (aiosmtpd).
    @Suite("Events and their mails", .serialized)
    struct EventMailTests {
        private static func web(_ services: [Server]) async throws -> (Server, Web) {
            let list = services.map(\.address).joined(separator: ",")
            let server = try await Server(["web-service", "--server", list])
            let web = Web(port: server.port)
            try await Deployment.untilReady(web, servers: services.count)
            return (server, web)
        }

        @Test(
            "A lock-out at the web is mailed once to each address, though two servers run and one is killed",
            .timeLimit(.minutes(4)))
        func lockedOutWhileKilled() async throws {
            try await withTemporaryFolder { folder in
                let setUp = try await EventSetUp(in: folder)
                let port = try LoopbackPort.free()
                let secure = setUp.withLogin + ["--use-tls", "yes"]
                try await setUp.addEntry(to: "ops@x.example,it@x.example", port: port, secure)
                try await setUp.addEntry(
                    "user-locked-out", to: "it@x.example,boss@x.example", port: port, secure)
                try await setUp.events("set", "User Locked Out", "--use-default", "yes")
                let services = [try await setUp.service(), try await setUp.service()]
                let (webServer, web) = try await Self.web(services)

                try await setUp.lockOut("user1", at: web)
                let locked = try await web.call(
                    "POST", "/v1/sessions", ["login": "user1", "password": .string(Deployment.password)])
                #expect(locked.status == 429)
                // Nobody takes the mails yet: each server has tried some.
                try await setUp.until("three mails should have been tried") { mails in
                    mails.count == 3 && mails.allSatisfy { ($0["attempts"].integer ?? 0) >= 1 }
                }
                try await services[0].kill()
                let peer = try await MailPeer(
                    ["--tls", "starttls"] + setUp.certificates.arguments("good") + setUp.peerLogin, on: port)

                try await setUp.until("all mails should have gone", within: .seconds(90)) { $0.isEmpty }
                let mails = peer.mails
                #expect(mails.flatMap(\.to).sorted() == ["boss@x.example", "it@x.example", "ops@x.example"])
                #expect(Set(mails.map(\.messageID)).count == 3)
                #expect(mails.allSatisfy { $0.encrypted && $0.login == "asm" })
                #expect(mails.allSatisfy { $0.header("Subject") == "ASM: User Locked Out" })
                #expect(mails.allSatisfy { $0.body.contains("The account 'user1' has been locked") })
                let log = try await setUp.events("log", "--event", "User Locked Out", "--json")
                #expect(log.components(separatedBy: "\"event\" : \"User Locked Out\"").count == 2, "\(log)")
                var said = log + (services.map(\.current) + [webServer.current]).map(\.tail).joined()
                for shown in [["mail", "list"], ["mail", "list", "--json"], ["list"]] {
                    said += try await Program.run(["events"] + shown + ["--database", setUp.databaseURL])
                        .outputText
                }
                #expect(!said.contains(EventSetUp.smtpPassword))
            }
        }

        @Test(
            "F29: whatever a mail server does, the mail goes out as set or not at all, and holds up no other",
            .timeLimit(.minutes(4)))
        func badMailServers() async throws {
            try await withTemporaryFolder { folder in
                let setUp = try await EventSetUp(in: folder)
                let certificates = setUp.certificates
                let good = try await MailPeer(["--refuse", "gone@x.example", "--later", "busy@x.example"])
                let bare = try await MailPeer(setUp.peerLogin)
                let taking = try await MailPeer(["--behave", "starttls-454"])
                let other = try await MailPeer(["--tls", "implicit"] + certificates.arguments("other"))
                let stalling = try await MailPeer(["--behave", "stall"])
                let login = setUp.withLogin
                try await setUp.addEntry(to: "gone@x.example,busy@x.example,ops@x.example", port: good.port)
                let event = "User Locked Out"
                let stripped = try await setUp.addEntry(
                    event, to: "bare@x.example", port: bare.port, login + ["--use-tls", "yes"])
                try await setUp.addEntry(
                    event, to: "taking@x.example", port: taking.port, login + ["--use-tls", "yes"])
                try await setUp.addEntry(
                    event, to: "other@x.example", port: other.port, ["--encrypted", "yes"])
                try await setUp.addEntry(event, to: "stall@x.example", port: stalling.port)
                try await setUp.events("set", event, "--use-default", "yes")
                let services = [try await setUp.service()]
                let (webServer, web) = try await Self.web(services)

                try await setUp.lockOut("user1", at: web)

                #expect(try await good.until(mails: 1, within: .seconds(40)).map(\.to) == [["ops@x.example"]])
                try await setUp.until("five mails should wait, each with its reason") { mails in
                    mails.count == 5 && mails.allSatisfy { !($0["lastAnswer"].text ?? "").isEmpty }
                }
                let reasons = try await setUp.outbox().reduce(into: [String: String]()) {
                    $0[$1["to"].text ?? ""] = $1["lastAnswer"].text
                }
                #expect(reasons["busy@x.example"]?.contains("451 4.2.0 mailbox busy") == true, "\(reasons)")
                #expect(reasons["other@x.example"]?.contains("certificate") == true, "\(reasons)")
                let dead = try await setUp.outbox("--dead")
                #expect(dead.map { $0["to"].text } == ["gone@x.example"])
                #expect(dead.first?["lastAnswer"].text?.contains("550 5.1.1") == true)
                #expect(bare.logins + bare.mails.map(\.from) + other.mails.map(\.from) == [])
                #expect(!taking.heard.contains { $0.hasPrefix("AUTH") || $0.hasPrefix("MAIL") })

                // An administrator puts right what was wrong, and the same mail goes out.
                try await setUp.events(
                    "mail", "edit", stripped, "--port", "\(good.port)", "--use-tls", "no", "--no-login")
                let later = try await good.until(mails: 2, within: .seconds(90))
                #expect(later[1].to == ["bare@x.example"])
                #expect(!services[0].current.tail.contains(EventSetUp.smtpPassword))
                _ = webServer
            }
        }

        @Test(
            "F30: a server killed between the mail server's 250 and its note leaves two copies with one Message-ID",
            .timeLimit(.minutes(3)))
        func killedAfter250() async throws {
            try await withTemporaryFolder { folder in
                let setUp = try await EventSetUp(in: folder)
                let peer = try await MailPeer()
                try await setUp.addEntry("User Locked Out", to: "ops@x.example", port: peer.port)
                let dying = try await setUp.service(failpoint: "after_smtp_250:kill")
                let address = "127.0.0.1:\(try await dying.port())"
                let webServer = try await Server(["web-service", "--server", address])
                let web = Web(port: webServer.port)
                try await Deployment.untilReady(web, servers: 1)

                try await setUp.lockOut("user1", at: web)
                _ = try await peer.until(mails: 1)
                try await dying.ended()
                let next = try await setUp.service()
                try await setUp.until("the mail should be noted as sent", ["--sent"], within: .seconds(90)) {
                    $0.count == 1
                }
                try await next.kill()

                let mails = peer.mails
                #expect(mails.count == 2)
                #expect(Set(mails.map(\.messageID)).count == 1)
                #expect(Set(mails.map(\.text)).count == 1)
            }
        }

        @Test(
            "A server that ends gives back the mail that a mail server does not take, due at once",
            .timeLimit(.minutes(2)))
        func endsWhileStalled() async throws {
            try await endWhileSending(to: ["--behave", "stall"]) { setUp, _ in
                try await setUp.until("the mail should be claimed until its lease ends") { mails in
                    mails.contains { ($0["nextTry"].text ?? "") > Self.now(in: 3) }
                }
            } then: { setUp, _ in
                let mail = try #require(try await setUp.outbox().first)
                #expect(mail["state"].text == "waiting")
                #expect((mail["nextTry"].text ?? "9") <= Self.now(in: 0))
            }
        }

        @Test(
            "A server that ends while the mail server has the whole mail waits for its answer, and no copy follows",
            .timeLimit(.minutes(2)))
        func endsWhileHandedOver() async throws {
            try await endWhileSending(to: ["--before-answer", "3"]) { _, peer in
                try await peer.untilHolding()
            } then: { setUp, peer in
                let sent = try await setUp.outbox("--sent")
                #expect(sent.count == 1)
                #expect(peer.mails.count == 1)
            }
        }

        /// Ends a server in order while it sends a mail.
        /// - Parameters:
        ///   - arguments: how the mail server behaves.
        ///   - underWay: waits until the mail is under way.
        private func endWhileSending(
            to arguments: [String], underWay: (EventSetUp, MailPeer) async throws -> Void,
            then: (EventSetUp, MailPeer) async throws -> Void
        ) async throws {
            try await withTemporaryFolder { folder in
                let setUp = try await EventSetUp(in: folder)
                let peer = try await MailPeer(arguments)
                try await setUp.addEntry("User Locked Out", to: "ops@x.example", port: peer.port)
                let service = try await setUp.service()
                let (webServer, web) = try await Self.web([service])
                try await setUp.lockOut("user1", at: web)
                try await underWay(setUp, peer)
                service.current.signal(SIGTERM)
                try await service.current.ended()
                try await then(setUp, peer)
                _ = webServer
            }
        }

        /// A time as commands print it, for a comparison of texts.
        private static func now(in seconds: Double) -> String {
            Date(timeIntervalSinceNow: seconds).ISO8601Format()
        }

        @Test("The test mail has its body and nothing else, and a refusal is told in the server's words")
        func testMail() async throws {
            try await withTemporaryFolder { folder in
                let setUp = try await EventSetUp(in: folder)
                let peer = try await MailPeer(
                    ["--tls", "implicit", "--refuse", "gone@x.example"] + setUp.certificates.arguments("good")
                        + setUp.peerLogin)
                let secure = setUp.withLogin + ["--encrypted", "yes", "--subject", "Räume"]
                try await setUp.addEntry(to: "ops@x.example", port: peer.port, secure)

                let said = try await setUp.events("mail", "test", "default")

                let mail = try await peer.until(mails: 1)[0]
                #expect(mail.body.trimmingCharacters(in: .newlines) == "This is a test message.")
                #expect(mail.to == ["ops@x.example"])
                #expect(said.contains("has taken the test mail to ops@x.example"))

                try await setUp.events("mail", "edit", "default", "--to", "gone@x.example,ops@x.example")
                let refused = try await setUp.run("mail", "test")
                #expect(refused.exitStatus == 1)
                #expect(refused.errorText.contains("550 5.1.1 no such mailbox"), "\(refused.errorText)")
                #expect(try await peer.until(mails: 2).count == 2)

                let wrong = folder + "/wrong"
                try "a-wrong-canary".write(toFile: wrong, atomically: true, encoding: .utf8)
                try await setUp.events("mail", "edit", "default", "--password-file", wrong)
                let denied = try await setUp.run("mail", "test")
                #expect(denied.exitStatus == 1)
                #expect(denied.errorText.contains("535"), "\(denied.errorText)")
                #expect(!(denied.errorText + denied.outputText).contains("canary"))
            }
        }

        @Test(
            "What an administrator cannot mean is refused with a sentence, and nothing is stored",
            arguments: [
                [
                    "mail", "add", "--to", "a@x.example\r\nBcc: b@x.example", "--from", "c@x.example",
                    "--server", "m",
                ],
                [
                    "mail", "add", "--to", "a@x.example", "--from", "c@x.example", "--server", "m",
                    "--subject", "x\nBcc: y@x",
                ],
                [
                    "mail", "add", "--to", "a@x.example", "--from", "c@x.example", "--server", "m", "--port",
                    "70000",
                ],
                [
                    "mail", "add", "--to", "a@x.example", "--from", "c@x.example", "--server", "m",
                    "--use-tls", "yes",
                    "--encrypted", "yes",
                ],
                ["mail", "add", "--from", "c@x.example", "--server", "m"],
                [
                    "mail", "add", "--event", "Server Sleepy", "--to", "a@x.example", "--from", "c@x.example",
                    "--server", "m",
                ],
                ["mail", "edit", "default", "--port", "25"], ["mail", "delete", "42"], ["mail", "test"],
                ["mail", "retry", "all"], ["set", "Server Inactive"], ["log", "--since", "yesterday"],
                ["options", "--retention-days", "0"], ["options", "--database-limit", "many"],
            ])
        func refused(_ arguments: [String]) async throws {
            try await withTemporaryFolder { folder in
                let database = "sqlite:\(folder)/asm.sqlite"
                let ended = try await Program.run(["events"] + arguments + ["--database", database])

                #expect(ended.exitStatus != 0)
                #expect(ended.errorText.contains("Error: "), "\(ended.errorText)")
                let listed = try await Program.run([
                    "events", "mail", "list", "--json", "--database", database,
                ])
                #expect(listed.outputText.filter { !$0.isWhitespace } == "[]")
            }
        }
    }
}
