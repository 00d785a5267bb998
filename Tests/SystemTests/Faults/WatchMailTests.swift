import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What the watch mails", .serialized)
    struct WatchMailTests {
        /// Settings as an administrator keeps them, with numbers as numbers.
        static func settings(
            _ webs: [String], _ deployment: Deployment, _ peer: MailPeer, in folder: String,
            mail more: [String: Any] = [:], _ others: [String: Any] = [:]
        ) throws -> String {
            let mail: [String: Any] = [
                "to": "ops@mercy.example, it@mercy.example", "from": "asm@mercy.example",
                "server": "127.0.0.1:\(peer.port)",
            ]
            let all: [String: Any] = [
                "web": webs.joined(separator: ","), "customer": "Mercy", "loginPattern": "user%d",
                "passwordFile": deployment.passwordFile, "tokenCache": folder + "/tokens",
                "statusFile": folder + "/status.json", "every": 1, "silentAfter": 3,
                "mail": mail.merging(more) { $1 },
            ]
            let path = folder + "/watch.json"
            try JSONSerialization.data(withJSONObject: all.merging(others) { $1 })
                .write(to: URL(fileURLWithPath: path))
            return path
        }

        static func subjects(_ peer: MailPeer) -> [String] {
            peer.mails.compactMap { $0.header("Subject") }
        }

        @Test(
            "with all its settings in a file it reminds over encrypted mail while all hang, and then no more",
            .timeLimit(.minutes(3)))
        func remindsFromFile() async throws {
            try await withTemporaryFolder { folder in
                let deployment = try await Deployment(users: 2)
                let certificates = try MailCertificates(in: folder)
                let peer = try await MailPeer(
                    ["--tls", "starttls", "--login", "asm:mail secret"] + certificates.arguments("good"))
                try "mail secret\n".write(
                    toFile: folder + "/mail-password", atomically: true, encoding: .utf8)
                let file = try Self.settings(
                    deployment.webs.map(\.description), deployment, peer, in: folder,
                    mail: [
                        "tls": true, "login": "asm", "passwordFile": folder + "/mail-password",
                        "ca": certificates.authorities,
                    ], ["remind": 4])
                let servers = (deployment.services + deployment.webServers).map(\.current)
                defer { for server in servers { server.signal(SIGCONT) } }
                let watch = try await Program.asm(["watch", "--config", file])
                try await Self.untilRounds(2, folder)
                #expect(peer.mails.isEmpty, "\(watch.tail)")

                for server in servers { server.signal(SIGSTOP) }
                try await peer.until(mails: 3, within: .seconds(90))
                for server in servers { server.signal(SIGCONT) }
                try await peer.program.progress.until("all should be well again", within: .seconds(60)) {
                    $0.outputText.contains("ASM watch: all is well again") ? true : nil
                }
                try await Self.untilRounds(6, folder)

                let (subjects, nothing) = (Self.subjects(peer), "ASM watch: nothing is delivered any more")
                #expect(subjects.first == nothing)
                #expect(subjects.last == "ASM watch: all is well again")
                #expect(subjects.count >= 4)
                // While they wake up one after the other, what is told may change once more.
                #expect(
                    subjects.dropFirst().prefix(2).allSatisfy { $0 == nothing + " (still)" }, "\(subjects)")
                #expect(subjects.count { $0 == "ASM watch: all is well again" } == 1)
                #expect(Set(peer.mails.map(\.messageID)).count == subjects.count)
                #expect(peer.mails.allSatisfy { $0.encrypted && $0.login == "asm" })
                #expect(
                    peer.mails.allSatisfy { Set($0.to) == ["ops@mercy.example", "it@mercy.example"] },
                    "\(peer.mails.map(\.to))")
                #expect(peer.mails.last?.body.contains("It was not well from") == true)
                #expect(!watch.progress.value.isOver, "\(watch.tail)")
                #expect(!watch.tail.contains("mail secret"))
            }
        }

        @Test("A file that lacks something or holds nonsense is refused by name", .timeLimit(.minutes(1)))
        func badFiles() async throws {
            try await withTemporaryFolder { folder in
                func said(_ json: String) async throws -> (Int32?, String) {
                    let path = folder + "/bad.json"
                    try json.write(toFile: path, atomically: true, encoding: .utf8)
                    let ended = try await Program.run(
                        ["watch", "--config", path], environment: ["ASM_PASSWORD": "x"])
                    return (ended.exitStatus, ended.errorText)
                }
                let web = #""web": "http://127.0.0.1:9""#

                let none = try await said("{}")
                let broken = try await said("{")
                let often = try await said("{\(web), \"every\": 0}")
                let rounds = try await said("{\(web), \"rounds\": \"many\"}")
                let mail = try await said("{\(web), \"mail\": {\"to\": \"a@b.example\"}}")
                let both = try await said(
                    """
                    {\(web), "mail": {"to": "a@b.example", "from": "c@b.example", "server": "m.example:25", \
                    "tls": true, "encrypted": true}}
                    """)

                for (status, text) in [none, broken, often, rounds, mail, both] {
                    #expect(status == 3, "\(text)")
                }
                #expect(none.1.contains("--web <url,…>"))
                #expect(broken.1.contains("is not JSON at line 1, column 2"))
                #expect(often.1.contains("'0' is invalid for '--every"))
                #expect(rounds.1.contains("'many' is invalid for '--rounds"))
                #expect(mail.1.contains("--mail-from is missing"))
                #expect(both.1.contains("not both"))
            }
        }

        /// Waits until the watch has looked so many times more.
        static func untilRounds(_ count: Int, _ folder: String) async throws {
            try await SystemTests.WatchTests.untilRounds(count, folder + "/status.json")
        }
    }
}
