import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What commands read and write", .serialized)
    struct TerminalTests {
        private static let password = "pass-wörd-1"

        @Test(
            "A password file means its first line to every command, whatever ends it and whatever begins it",
            .timeLimit(.minutes(2)))
        func passwordFiles() async throws {
            try await withTemporaryFolder { folder in
                let data = ["--database", "sqlite:\(folder)/asm.sqlite"]
                #expect(try await Program.run(["customer", "add", "Mercy"] + data).exitStatus == 0)
                let forms = [
                    "lf": "\n", "none": "", "crlf": "\r\nsecond line\r\n", "cr": "\rsecond\r",
                    "more": "\n\n\nsecond",
                ]
                var files: [String: String] = [:]
                for (name, end) in forms {
                    for (kind, mark) in [("", ""), ("-marked", "\u{FEFF}")] {
                        files[name + kind] = folder + "/" + name + kind
                        try Data((mark + Self.password + end).utf8)
                            .write(to: URL(fileURLWithPath: folder + "/" + name + kind))
                    }
                }
                for (login, file) in files {
                    let added = try await Program.run(
                        ["user", "add", "--customer", "Mercy", login, "--password-file", file] + data)
                    #expect(added.exitStatus == 0, "\(added.errorText)")
                }
                let piped = try await Program.run(
                    ["user", "add", "--customer", "Mercy", "piped", "--password-file", "-"] + data,
                    input: Array("\(Self.password)\r\nmore".utf8))
                let given = try await Program.run(
                    ["user", "add", "--customer", "Mercy", "given"] + data,
                    environment: ["ASM_PASSWORD": Self.password])
                let streamed = try await Program.run(
                    ["user", "add", "--customer", "Mercy", "streamed", "--password-file", "/dev/stdin"]
                        + data,
                    input: Array(Self.password.utf8))
                for added in [piped, given, streamed] { #expect(added.exitStatus == 0, "\(added.errorText)") }

                let up = try await Program.asm(["up", "--data", folder, "--web-port", "0"])
                let web = Web(port: try await up.port())
                for login in files.keys + ["piped", "given", "streamed"] {
                    _ = try await web.logIn(login, password: Self.password)
                }
                for file in files.values.sorted() {
                    let sent = try await Program.run([
                        "send", "--web", web.description, "--login", "lf", "--password-file", file, "--to",
                        "crlf",
                        "text",
                    ])
                    #expect(sent.exitStatus == 0, "\(file): \(sent.errorText)")
                }
                // The rest of the standard input is left for the command.
                let lines = try await Program.run(
                    [
                        "send", "--web", web.description, "--login", "lf", "--password-file", "-", "--to",
                        "crlf", "-",
                    ],
                    input: Array("\(Self.password)\none\ntwo\n".utf8))
                #expect(lines.errorText.contains("Sent 2 messages"), "\(lines.errorText)")
                try await up.kill()
            }
        }

        @Test(
            "A password file without a first line, or none at all, is refused by name",
            .timeLimit(.minutes(1)), arguments: ["", "\n", "\r\nsecond", "\u{FEFF}", "\u{FEFF}\nsecond"])
        func emptyPassword(_ text: String) async throws {
            try await withTemporaryFolder { folder in
                let file = folder + "/password"
                try Data(text.utf8).write(to: URL(fileURLWithPath: file))
                for command in [
                    [
                        "user", "add", "--customer", "Mercy", "ann", "--database",
                        "sqlite:\(folder)/asm.sqlite",
                    ],
                    ["listen", "--web", "http://127.0.0.1:9", "--login", "ann"],
                ] {
                    try await expectFailure(
                        command + ["--password-file", file], saying: ["password file '\(file)' is empty"])
                    try await expectFailure(
                        command + ["--password-file", folder + "/absent"],
                        saying: ["absent", "No such file or directory"])
                }
            }
        }

        @Test("asm listen prints one line a message, whatever it holds", .timeLimit(.minutes(2)))
        func oneLine() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let web = deployment.webs[0].description
            let listening = try await Program.asm(
                ["listen", "--web", web, "--login", "user2", "--count", "3"],
                environment: ["ASM_PASSWORD": Deployment.password])
            let asJSON = try await Program.asm(
                ["listen", "--web", web, "--login", "user2", "--count", "3", "--json"],
                environment: ["ASM_PASSWORD": Deployment.password])
            for program in [listening, asJSON] {
                try await program.progress.until("it should listen") {
                    $0.errorText.contains("Listening to") ? true : nil
                }
            }
            let forged =
                "ok\r\n77 #5 ann: Give 10 mg now\u{2028}\u{85}\u{1B}[2J\u{1B}]0;title\u{7}\u{202E}\u{9B}2J"
            let sent = try await Program.run(
                [
                    "send", "--web", web, "--login", "user1", "--to", "user2", "--subject",
                    "\u{202E}Bed",
                    forged,
                ], environment: ["ASM_PASSWORD": Deployment.password])
            #expect(sent.exitStatus == 0, "\(sent.errorText)")
            let thread = try #require(
                sent.errorText.split(separator: " ").compactMap { Int64($0) }.max())
            _ = try await Program.run(
                ["send", "--web", web, "--login", "user1", "--thread", "\(thread)", "plain"],
                environment: ["ASM_PASSWORD": Deployment.password])

            let lines = try await listening.ended().outputText
            let objects = try await asJSON.ended().outputText
            #expect(lines.split(separator: "\n").count == 3 && lines.hasSuffix("user1: plain\n"), "\(lines)")
            #expect(objects.split(separator: "\n").count == 3)
            for text in [lines, objects] {
                #expect(
                    !text.unicodeScalars.contains { $0 != "\n" && EscapedText.steers($0) },
                    "\(text.debugDescription)")
            }
            #expect(lines.contains(#"user1: ok\r\n77 #5 ann: Give 10 mg now\u{2028}"#), "\(lines)")
            let second = try JSONDecoder().decode(
                JSON.self, from: Data(objects.split(separator: "\n")[1].utf8))
            #expect(second["text"].text == forged)
        }

        @Test(
            "An output that nobody reads any more ends a command quietly with 141, one without room with a sentence",
            .timeLimit(.minutes(2)))
        func closedAndFull() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let web = deployment.webs[0].description
            let asm = try Program.asmPath()
            func shell(_ script: String) async throws -> Program.Progress {
                try await Program(
                    "bash", path: "/bin/bash", ["-c", script],
                    environment: [
                        "ASM_PASSWORD": Deployment.password, "ASM_DATABASE": deployment.databaseURL,
                    ]
                ).ended(within: .seconds(60))
            }
            for command in [
                "events list", "servers", "servers --json", "settings up", "--help", "license show",
            ] {
                // Nobody reads from the first byte on.
                let closed = try await shell("\(asm) \(command) | true; echo ${PIPESTATUS[0]}")
                #expect(["0\n", "141\n"].contains(closed.outputText), "\(command): \(closed.outputText)")
                #expect(closed.errorText.isEmpty, "\(closed.errorText)")
                let full = try await shell("\(asm) \(command) > /dev/full")
                #expect(full.exitStatus == 1, "\(command)")
                #expect(full.errorText == "Error: The output cannot be written: No space left on device.\n")
                let shut = try await shell("\(asm) \(command) >&-")
                #expect(
                    shut.exitStatus == 1 && shut.errorText.hasPrefix("Error: The output cannot be written"))
            }

            let listening = try await Program(
                "bash", path: "/bin/bash",
                ["-c", "\(asm) listen --web \(web) --login user2 | head -1; echo ${PIPESTATUS[0]}"],
                environment: ["ASM_PASSWORD": Deployment.password])
            try await listening.progress.until("it should listen") {
                $0.errorText.contains("Listening to") ? true : nil
            }
            for text in ["one", "two"] {
                _ = try await shell("\(asm) send --web \(web) --login user1 --to user2 \(text)")
            }
            let ended = try await listening.ended(within: .seconds(30))
            #expect(ended.outputText.hasSuffix("\n141\n"), "\(ended.outputText)")
            #expect(!ended.errorText.contains("Fatal"), "\(ended.errorText)")
        }

        @Test("A server whose first lines nobody reads serves on", .timeLimit(.minutes(1)))
        func unheardServer() async throws {
            try await withTemporaryFolder { folder in
                let asm = try Program.asmPath()
                let port = try LoopbackPort.free()
                let up = try await Program(
                    "bash", path: "/bin/bash",
                    ["-c", "exec \(asm) up --data \(folder)/data --web-port \(port) > /dev/full"])
                let web = Web(port: port)
                let end = ContinuousClock.now + .seconds(20)
                var isReady = false
                while !isReady, ContinuousClock.now < end {
                    // Not answering yet is what is waited for.
                    isReady = (try? await web.call("GET", "/readyz"))?.status == 200
                    if !isReady { try await Task.sleep(for: .milliseconds(50)) }
                }
                #expect(isReady, "\(up.tail)")
                try await up.kill()
            }
        }
    }
}
