import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

/// Expects that a command ends soon, with a status other than 0 and one clear line that says what to do.
func expectFailure(
    _ arguments: [String], environment: [String: String] = [:], saying words: [String],
    within limit: Duration = .seconds(10), sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let ended = try await Program.run(arguments, environment: environment, within: limit)
    let text = ended.errorText
    let lines = text.split(separator: "\n")
    let said = Comment(rawValue: text)
    #expect(ended.exitStatus != 0, said, sourceLocation: sourceLocation)
    let errors = lines.filter { $0.hasPrefix("Error: ") }
    #expect(errors.count == 1, said, sourceLocation: sourceLocation)
    // A line of the log may precede it, and how to use the command may follow; no more.
    #expect(lines.count <= 4, said, sourceLocation: sourceLocation)
    for word in words {
        #expect(
            errors.first?.contains(word) == true, "\(word) is not in: \(text)", sourceLocation: sourceLocation
        )
    }
}

extension CommandTests {
    @Suite("Commands that cannot do what they should", .serialized)
    struct BadStartTests {
        @Test(
            "a database that is not there is named, and whether it or its server is missing",
            .timeLimit(.minutes(1)))
        func wrongDatabase() async throws {
            let postgres = try PostgresServer.shared()
            let nobody = try LoopbackPort.free()

            try await expectFailure(
                ["service", "--database", postgres.url(database: "absent"), "--listen", "127.0.0.1:0"],
                saying: ["absent", "does not exist"])
            try await expectFailure(
                ["service", "--database", "postgresql://postgres@127.0.0.1:\(nobody)/asm"],
                saying: ["127.0.0.1:\(nobody)", "cannot be reached"])
            try await expectFailure(
                ["service", "--database", "mysql://127.0.0.1/asm"], saying: ["mysql", "expected sqlite:PATH"])
            try await expectFailure(
                ["service", "--database", "sqlite:/nowhere/at/all/asm.sqlite"],
                saying: ["/nowhere/at/all", "does not exist"])
        }

        @Test("a schema newer than this program knows is left alone", .timeLimit(.minutes(1)))
        func newerSchema() async throws {
            let postgres = try PostgresServer.shared()
            let url = try await postgres.createDatabase()
            let name = String(url.split(separator: "/").last ?? "")
            _ = try await Program.run(["migrate", "--database", url])
            try postgres.execute(
                """
                INSERT INTO schema_version (number, name, at)
                SELECT 9999, 'from the future', max(at) FROM schema_version
                """,
                database: name)

            for command in ["service", "migrate"] {
                try await expectFailure(
                    [command, "--database", url], saying: ["9999", "newer"])
            }
        }

        @Test("a port in use is named", .timeLimit(.minutes(1)))
        func portInUse() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 1)
            let taken = deployment.webs[0].port

            try await expectFailure(
                [
                    "web-service", "--server", deployment.services[0].address, "--listen",
                    "127.0.0.1:\(taken)",
                ],
                saying: ["127.0.0.1:\(taken)", "another process uses this port"])
            try await expectFailure(
                ["service", "--database", deployment.databaseURL, "--listen", "127.0.0.1:\(taken)"],
                saying: ["127.0.0.1:\(taken)", "another process uses this port"])
            try await withTemporaryFolder { folder in
                try await expectFailure(
                    ["up", "--data", folder, "--web-port", "\(taken)"],
                    saying: ["127.0.0.1:\(taken)", "another process uses this port"])
            }
        }

        @Test(
            "a typo in the Server list is shown: which entry, and what is expected", .timeLimit(.minutes(1)))
        func serverListTypo() async throws {
            try await expectFailure(
                ["web-service", "--server", "127.0.0.1:7400,10.0.0.12", "--listen", "127.0.0.1:0"],
                saying: ["entry 2", "10.0.0.12", "expected HOST:PORT"])
            try await expectFailure(
                ["web-service", "--server", "127.0.0.1:74OO", "--listen", "127.0.0.1:0"],
                saying: ["entry 1", "74OO", "expected HOST:PORT"])
        }

        @Test(
            "asm send - stops at a line that is not UTF-8, names it, and has stored what was before it",
            .timeLimit(.minutes(1)))
        func invalidLine() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let reader = try await deployment.person(2, at: 0)
            let input = Array("first\nsecond\nbad ".utf8) + [0xC3, 0x28] + Array("\nfourth\n".utf8)

            let ended = try await Program.run(
                Self.sendingLines(to: deployment), input: input)

            #expect(ended.exitStatus != 0)
            #expect(ended.errorText.contains("Line 3 is not UTF-8"), Comment(rawValue: ended.errorText))
            try await reader.untilSeen(2)
            let thread = try #require(reader.state.value.seen.first?.thread)
            let texts = try await deployment.webs[0].history(of: thread, as: reader.login)
                .compactMap { $0["text"].text }
            #expect(texts == ["first", "second"], deployment.report)
        }

        @Test(
            "F2: asm send - refuses the lines that are too long by their numbers, and sends the rest, however it is escaped",
            .timeLimit(.minutes(1)))
        func longLines() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let reader = try await deployment.person(2, at: 0)
            let controls =
                String(repeating: "\u{1B}[0m", count: 10_000) + String(repeating: "\u{1}", count: 16_000)
            let lines = [
                "first", controls, String(repeating: "a", count: 65_537), "fourth",
                String(repeating: "b", count: 2_000_000), "sixth", String(repeating: "\u{1}", count: 65_536),
            ]

            let ended = try await Program.run(
                Self.sendingLines(to: deployment), input: Array(lines.joined(separator: "\n").utf8))

            let said = Comment(rawValue: ended.errorText)
            #expect(ended.exitStatus == 1, said)
            for line in [3, 5] { #expect(ended.errorText.contains("Line \(line) was refused: "), said) }
            #expect(ended.errorText.contains("Sent 5 messages"), said)
            #expect(ended.errorText.contains("2 refused"), said)
            try await reader.untilSeen(5)
            let thread = try #require(reader.state.value.seen.first?.thread)
            let texts = try await deployment.webs[0].history(of: thread, as: reader.login)
                .compactMap { $0["text"].text }
            #expect(texts == [0, 1, 3, 5, 6].map { lines[$0] }, deployment.report)
        }

        @Test(
            "asm send with --give-up-after ends without a connection, and says from which line on nothing is known",
            .timeLimit(.minutes(2)))
        func givesUp() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let reader = try await deployment.person(2, at: 0)
            let lines = (1...20_000).map { "line \($0)" }
            let sender = try await Program.asm(
                Self.sendingLines(to: deployment) + ["--give-up-after", "2"],
                input: Array(lines.joined(separator: "\n").utf8))
            try await reader.untilSeen(100)

            try await deployment.webServers[0].kill()
            let ended = try await sender.ended(within: .seconds(20))

            let said = Comment(rawValue: ended.errorText)
            #expect(ended.exitStatus == 1, said)
            #expect(ended.errorText.contains("Given up: there is no connection (Connection refused"), said)
            let sent = try #require(Self.number(after: "Sent ", in: ended.errorText), said)
            #expect(Self.number(after: "from line ", in: ended.errorText) == sent + 1, said)
            #expect(ended.errorText.contains("nothing after them was sent"), said)
            let open = try #require(
                Self.number(before: " messages have no answer", in: ended.errorText), said)

            try await deployment.webServers[0].start()
            let thread = try #require(reader.state.value.seen.first?.thread)
            let texts = try await deployment.webs[0].history(of: thread, as: reader.login)
                .compactMap { $0["text"].text }
            #expect(texts == Array(lines.prefix(texts.count)))
            #expect((sent...sent + open).contains(texts.count), said)
        }

        /// What makes the first user send the lines of its standard input to the second.
        private static func sendingLines(to deployment: Deployment) -> [String] {
            [
                "send", "--web", "\(deployment.webs[0])", "--login", "user1", "--password-file",
                deployment.passwordFile, "--to", "user2", "-",
            ]
        }

        private static func number(after words: String, in text: String) -> Int? {
            text.range(of: words).flatMap { Int(text[$0.upperBound...].prefix(while: \.isNumber)) }
        }

        private static func number(before words: String, in text: String) -> Int? {
            text.range(of: words).flatMap {
                Int(String(text[..<$0.lowerBound].reversed().prefix(while: \.isNumber).reversed()))
            }
        }
    }
}
