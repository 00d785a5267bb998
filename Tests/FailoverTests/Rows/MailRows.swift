import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Mail servers that behave badly, and servers that die at mailing", .serialized)
    struct MailRows {
        private static let event = "User Locked Out"

        @Test(
            "F29: mail servers refuse, stall, strip STARTTLS and show a wrong certificate",
            .timeLimit(.minutes(4)))
        func f29() async throws {
            try await runRow(
                "F29",
                injected:
                    "an event is mailed through servers that answer 550 and 451, stall, offer no STARTTLS or refuse it, and show another's certificate",
                expected:
                    "each mail goes out as set or waits with its reason, 550 is given up, nothing goes in plain text; people: gap ≤ 3 s",
                Expectation(gap: .seconds(3))
            ) { site, row in
                let setUp = try site.eventSetUp()
                let good = try await site.mailPeer([
                    "--refuse", "gone@x.example", "--later", "busy@x.example",
                ])
                let secure = try await site.mailPeer(
                    ["--tls", "starttls"] + setUp.certificates.arguments("good") + setUp.peerLogin)
                let bare = try await site.mailPeer(setUp.peerLogin)
                let taking = try await site.mailPeer(["--behave", "starttls-454"])
                let other = try await site.mailPeer(
                    ["--tls", "implicit"] + setUp.certificates.arguments("other"))
                let stalling = try await site.mailPeer(["--behave", "stall"])
                let tls = setUp.withLogin + ["--use-tls", "yes"]
                try await setUp.addEntry(
                    Self.event, to: "gone@x.example,busy@x.example,ops@x.example", port: good.port)
                try await setUp.addEntry(Self.event, to: "tls@x.example", port: secure.port, tls)
                let stripped = try await setUp.addEntry(
                    Self.event, to: "bare@x.example", port: bare.port, tls)
                try await setUp.addEntry(Self.event, to: "taking@x.example", port: taking.port, tls)
                try await setUp.addEntry(
                    Self.event, to: "other@x.example", port: other.port, ["--encrypted", "yes"])
                try await setUp.addEntry(Self.event, to: "stall@x.example", port: stalling.port)
                try await site.restartServices(adding: ["--config", setUp.settingsFile])

                row.inject()
                try await setUp.lockOut("user79", at: site.entrance)

                try await good.until(mails: 1)
                try await secure.until(mails: 1)
                try await setUp.until("five mails should wait, each with its reason") { mails in
                    mails.count == 5 && mails.allSatisfy { !($0["lastAnswer"].text ?? "").isEmpty }
                }
                let reasons = try await setUp.outbox().reduce(into: [String: String]()) {
                    $0[$1["to"].text ?? ""] = $1["lastAnswer"].text
                }
                row.check(reasons["busy@x.example"]?.contains("451 4.2.0") == true, "\(reasons)")
                row.check(reasons["other@x.example"]?.contains("certificate") == true, "\(reasons)")
                let dead = try await setUp.outbox("--dead")
                row.check(dead.map { $0["to"].text } == ["gone@x.example"], "given up: \(dead)")
                row.check(good.mails.map(\.to) == [["ops@x.example"]], "\(good.mails.map(\.to))")
                row.check(
                    secure.mails.allSatisfy { $0.encrypted && $0.login == "asm" }, "it went in plain text")
                row.check(
                    bare.logins.isEmpty && bare.mails.isEmpty && other.mails.isEmpty,
                    "something went out otherwise than set")
                row.check(
                    !taking.heard.contains { $0.hasPrefix("AUTH") || $0.hasPrefix("MAIL") },
                    "it went on without TLS: \(taking.heard)")
                // An administrator puts right what was wrong, and the same mail goes out.
                try await setUp.events(
                    "mail", "edit", stripped, "--port", "\(good.port)", "--use-tls", "no", "--no-login")
                let later = try await good.until(mails: 2)
                row.check(later[1].to == ["bare@x.example"], "\(later[1].to)")
                try await setUp.removeEntries()
            }
        }

        @Test("F30: an ASM Service dies between the mail server's 250 and its note", .timeLimit(.minutes(4)))
        func f30() async throws {
            try await runRow(
                "F30",
                injected: "the ASM Service that mails an event kills itself at the failpoint after_smtp_250",
                expected:
                    "the other one mails it again: two copies, one Message-ID; people: gap ≤ 7 s, 0 lost, 0 doubled",
                Expectation(gap: .seconds(7))
            ) { site, row in
                let setUp = try site.eventSetUp()
                let peer = try await site.mailPeer()
                try await setUp.addEntry(Self.event, to: "twice@x.example", port: peer.port)
                let file = setUp.folder + "/failpoints"
                try "".write(toFile: file, atomically: true, encoding: .utf8)
                try await site.restartServices(
                    adding: ["--config", setUp.settingsFile], with: ["ASM_FAILPOINT_FILE": file],
                    program: try Program.asmPath())

                row.inject()
                try "after_smtp_250:kill".write(toFile: file, atomically: true, encoding: .utf8)
                try await setUp.lockOut("user78", at: site.entrance)
                try await peer.until(mails: 1)
                try await Self.untilOneIsDead(site)
                try "".write(toFile: file, atomically: true, encoding: .utf8)
                row.check(site.services.count(where: \.isRunning) == 1, "not one of the two died")
                try await setUp.until("the mail should be noted as sent", ["--sent"]) { mails in
                    mails.contains { $0["to"].text == "twice@x.example" }
                }

                let mails = peer.mails
                row.check(mails.count == 2, "\(mails.count) copies came")
                row.check(Set(mails.map(\.messageID)).count == 1, "\(mails.map(\.messageID))")
                row.check(Set(mails.map(\.text)).count == 1, "the copies differ")
                for server in site.services { try await server.startServing() }
                try await site.untilServing()
                try await setUp.removeEntries()
                row.setFailpointBuild()
            }
        }

        private static func untilOneIsDead(_ site: Site) async throws {
            for _ in 0..<200 {
                if site.services.contains(where: { !$0.isRunning }) { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw NotInTime(what: "an ASM Service should die", limit: .seconds(10))
        }
    }
}
