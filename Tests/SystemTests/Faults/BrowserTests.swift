import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("The messenger page in real browsers", .serialized)
    struct BrowserTests {
        static func browse(_ script: String, _ arguments: [String]) async throws -> Program {
            try await Program.python("Browser/" + script, ["--patience", "60"] + arguments)
        }

        @Test("two people on two Web Services exchange every kind of text", .timeLimit(.minutes(3)))
        func exchange() async throws {
            let deployment = try await Deployment(users: 2)

            let browsers = try await Self.browse(
                "exchange.py",
                [
                    "--web", "\(deployment.webs[0])", "--login", "user1", "--password-file",
                    deployment.passwordFile,
                    "--web2", "\(deployment.webs[1])", "--login2", "user2", "--password-file2",
                    deployment.passwordFile,
                ])
            let ended = try await browsers.ended(within: .seconds(170))

            #expect(ended.exitStatus == 0, Comment(rawValue: browsers.tail + "\n\(deployment.report)"))
        }

        @Test(
            "read is only what was on screen, badges are right on every device, and one bad message blocks no other",
            .timeLimit(.minutes(4)))
        func reading() async throws {
            let deployment = try await Deployment(users: 2)

            let browsers = try await Self.browse(
                "reading.py",
                [
                    "--web", "\(deployment.webs[0])", "--login", "user1", "--password-file",
                    deployment.passwordFile,
                    "--web2", "\(deployment.webs[1])", "--login2", "user2", "--password-file2",
                    deployment.passwordFile,
                ])
            let ended = try await browsers.ended(within: .seconds(230))

            #expect(ended.exitStatus == 0, Comment(rawValue: browsers.tail + "\n\(deployment.report)"))
        }

        @Test(
            "a page shows every line once and in order while an ASM Service is killed, and stays connected",
            .timeLimit(.minutes(3)))
        func serverKilledWhileWatching() async throws {
            let deployment = try await Deployment(users: 2)
            let lines = 1_000
            let input = (1...lines).map { "line \($0) of the protocol" }.joined(separator: "\n")
            try await withTemporaryFolder { folder in
                let ready = folder + "/ready"
                let watcher = try await Self.browse(
                    "watch.py",
                    [
                        "--web", "\(deployment.webs[1])", "--login", "user2", "--password-file",
                        deployment.passwordFile, "--title", "Round", "--count", "\(lines + 1)", "--seconds",
                        "90",
                        "--ready-file", ready,
                    ])
                let author = try await deployment.logIn(1, at: 0)
                let reader = try await deployment.logIn(2, at: 1)
                let thread = try await deployment.webs[0].createThread([author, reader], subject: "Round")
                try await deployment.webs[0].ask(
                    "POST", "/v1/threads/\(thread)/messages", as: author, key: .random(), ["text": "begin"])
                try await Self.untilExists(ready, orEnded: watcher)
                let sender = try await Program.asm(
                    [
                        "send", "--web", "\(deployment.webs[0])", "--login", "user1", "--password-file",
                        deployment.passwordFile, "--thread", "\(thread)", "-",
                    ], input: Array(input.utf8))
                try await Self.untilStored(lines / 4, in: thread, of: deployment, as: reader)
                try await deployment.services[0].kill()

                let sent = try await sender.ended(within: .seconds(60))
                let watched = try await watcher.ended(within: .seconds(120))

                #expect(sent.exitStatus == 0, Comment(rawValue: sender.tail))
                #expect(watched.exitStatus == 0, Comment(rawValue: watcher.progress.value.errorText))
                let result = try JSONDecoder().decode(JSON.self, from: Data(watched.output))
                let shown = result["lines"].list.compactMap { $0["text"].text }
                #expect(shown == ["begin"] + (1...lines).map { "line \($0) of the protocol" })
                #expect(result["connections"] == 1)
            }
        }

        private static func untilExists(_ file: String, orEnded program: Program) async throws {
            while !FileManager.default.fileExists(atPath: file) {
                guard !program.progress.value.isOver else {
                    throw Program.Failure(description: program.tail)
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }

        private static func untilStored(
            _ count: Int, in thread: MessageThread.ID, of deployment: Deployment, as reader: Web.Login
        ) async throws {
            while true {
                let body = try await deployment.webs[1].ask("GET", "/v1/threads/\(thread)", as: reader)
                if body["thread"]["lastNumber"].integer ?? 0 > Int64(count) { return }
            }
        }
    }
}
