import Foundation
import TestSupport
import Testing

@testable import SystemSupport

/// A command of `asm` with its options, as the program itself lists them.
private struct DeclaredCommand {
    struct Option {
        let names: [String]
        let isFlag: Bool
        let isRepeating: Bool

        var name: String { names[0] }
        var variable: String { Self.variable(name) }
        static func variable(_ name: String) -> String {
            "ASM_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
        }
        /// As it is written in a settings file.
        var key: String {
            let words = name.split(separator: "-")
            return words.prefix(1).joined() + words.dropFirst().map(\.capitalized).joined()
        }
        var isSecret: Bool { name.hasSuffix("password") }
    }

    let path: [String]
    let options: [Option]

    static func all() async throws -> [DeclaredCommand] {
        let dump = try await Program.run(["--experimental-dump-help"])
        let root = try JSONDecoder().decode(JSON.self, from: Data(dump.output))["command"]
        return commands(of: root, under: [])
    }

    private static func commands(of command: JSON, under path: [String]) -> [DeclaredCommand] {
        let below = command["subcommands"].list.filter { $0["commandName"].text != "help" }
        guard below.isEmpty else {
            return below.flatMap { commands(of: $0, under: path + [$0["commandName"].text ?? ""]) }
        }
        let options = command["arguments"].list.compactMap { argument -> Option? in
            let names = argument["names"].list.filter { $0["kind"].text == "long" }.compactMap {
                $0["name"].text
            }
            guard argument["kind"].text != "positional", let first = names.first,
                !["help", "version", "config"].contains(first)
            else { return nil }
            return Option(
                names: names, isFlag: argument["kind"].text == "flag",
                isRepeating: argument["isRepeating"] == .bool(true))
        }
        return [DeclaredCommand(path: path, options: options)]
    }
}

extension ReleaseTests {
    @Suite("Settings", .serialized)
    struct SettingsTests {
        /// What `asm settings` says of each option: its value, and where that comes from.
        private static func read(_ text: String) -> [String: (value: String, from: String)] {
            var rows: [String: (value: String, from: String)] = [:]
            for line in text.split(separator: "\n").dropFirst() {
                let cells = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: true)
                guard cells.count == 4 else { continue }
                rows[String(cells[0])] = (String(cells[2]), cells[3].trimmingCharacters(in: .whitespaces))
            }
            return rows
        }

        @Test(
            "Every option of every command is taken from its line, else from the environment, else from the file",
            .timeLimit(.minutes(5)))
        func everyOption() async throws {
            let commands = try await DeclaredCommand.all().filter { !$0.options.isEmpty }
            #expect(commands.count > 30)
            try await withTemporaryFolder { folder in
                for command in commands {
                    let file = folder + "/settings.json"
                    let members = command.options.map { option in
                        "\"\(option.key)\": "
                            + (option.isFlag ? "true" : option.isRepeating ? "[1, \"1\"]" : "1")
                    }
                    try "{\(members.joined(separator: ",\n"))}"
                        .write(toFile: file, atomically: true, encoding: .utf8)
                    let start = ["settings"] + command.path
                    let variables = Dictionary(
                        command.options.map { ($0.variable, $0.isFlag ? "no" : "2") }
                    ) { $1 }
                    let line = command.options.filter { !$0.isSecret }
                        .flatMap { $0.isFlag ? ["--" + $0.name] : ["--" + $0.name, "3"] }

                    let fromFile = Self.read(
                        try await Program.run(start + ["--config", file]).outputText)
                    let fromEnvironment = Self.read(
                        try await Program.run(start + ["--config", file], environment: variables).outputText)
                    let fromLine = Self.read(
                        try await Program.run(start + ["--config", file] + line, environment: variables)
                            .outputText)

                    for option in command.options {
                        let (name, place) = ("--" + option.name, "\(command.path) \(option.name)")
                        let values =
                            option.isSecret
                            ? ["(not", "(not"]
                            : option.isFlag ? ["true", "false"] : [option.isRepeating ? "1,1" : "1", "2"]
                        #expect(fromFile[name]?.value == values[0], "\(place)")
                        #expect(
                            fromFile[name]?.from.contains("'\(option.key)' in '\(file)'") == true, "\(place)")
                        #expect(fromEnvironment[name]?.value == values[1], "\(place)")
                        #expect(fromEnvironment[name]?.from.hasSuffix(option.variable) == true, "\(place)")
                        guard !option.isSecret else { continue }
                        #expect(fromLine[name]?.value == (option.isFlag ? "true" : "3"), "\(place)")
                        #expect(fromLine[name]?.from == "this line", "\(place)")
                    }
                }
            }
        }

        @Test(
            "A misspelt setting is refused at every command, by name and with the one that was meant",
            .timeLimit(.minutes(5)))
        func misspelt() async throws {
            let statuses: [[String]: Int32] = [["watch"]: 3, ["drill"]: 2]
            try await withTemporaryFolder { folder in
                for command in try await DeclaredCommand.all() {
                    // The longest name, so that what is left of it is nobody else's.
                    guard let option = command.options.max(by: { $0.name.count < $1.name.count }) else {
                        continue
                    }
                    let file = folder + "/settings.json"
                    try "{\"\(option.key.dropLast())x\": 1}".write(
                        toFile: file, atomically: true, encoding: .utf8)
                    let refused = try await Program.run(command.path + ["--config", file])
                    #expect(
                        refused.exitStatus == statuses[command.path, default: 64], "\(refused.errorText)")
                    #expect(
                        refused.errorText.contains(
                            "'\(option.key.dropLast())x' ('\(file)'): did you mean \(option.key)?"),
                        "\(command.path): \(refused.errorText)")
                }
            }
        }

        @Test(
            "A misspelt variable is warned of with the one that was meant, and no other is",
            .timeLimit(.minutes(1)))
        func misspeltVariable() async throws {
            let ended = try await Program.run(
                ["settings", "web-service"],
                environment: [
                    "ASM_LISEN": "1", "ASM_WEBCONFIG": "1", "ASM_DATABASE": "of another command",
                    "ASM_NOTHING_NEAR": "1",
                ])
            let warnings = ended.errorText.split(separator: "\n")
            #expect(warnings.count == 2, "\(ended.errorText)")
            #expect(ended.errorText.contains("ASM_LISEN: did you mean ASM_LISTEN?"))
            #expect(ended.errorText.contains("ASM_WEBCONFIG: did you mean ASM_WEB_CONFIG?"))
        }

        @Test(
            "A settings file that cannot be used is refused in one sentence that names what is wrong and where",
            .timeLimit(.minutes(1)),
            arguments: [
                (#"{"lisen": "127.0.0.1:1"}"#, ["'lisen'", "did you mean listen?"]),
                (#"{"link": {"certificat": "a"}}"#, ["'link.certificat'", "did you mean link.certificate?"]),
                (#"{"web": {"port": 1}}"#, ["'web.port'", "a setting of `asm up`"]),
                (#"{"config": "b.json"}"#, ["'config'", "cannot name another"]),
                (
                    #"{"logLevel": "info", "log": {"level": "info"}}"#,
                    ["'logLevel' and 'log.level'", "keep one"]
                ),
                (#"{"health": "127.0.0.1:1", "health": "127.0.0.1:2"}"#, ["'health' is twice"]),
                (#"{"takeOver": 7}"#, ["'takeOver'", "'7'", "expected true or false"]),
                (#"{"listen": true}"#, ["'listen'", "true", "host:port"]),
                (#"{"listen": ["127.0.0.1:1"]}"#, ["'listen'", "a list", "expected one value"]),
                (#"{"listen": [{}]}"#, ["'listen'", "holds more than texts"]),
                (#"{"listen": 7400}"#, ["--listen", "'7400'", "HOST:PORT"]),
                (#"{"schema": {"checkSeconds": 1e9}}"#, ["'1e9'", "expected seconds from 0.1 to 3600"]),
                ("{\n  \"listen\": \"127.0.0.1:1\",\n}", ["line 3, column 1", "expected a string"]),
                ("{\n  \"listen\": \"127.0.0.1:1\" \"x\"}", ["line 2, column 27", "expected ','"]),
                ("", ["line 1, column 1", "ends too early"]),
                ("[1]", ["line 1, column 1", "expected an object"]),
            ])
        func badFile(_ text: String, words: [String]) async throws {
            try await withTemporaryFolder { folder in
                let file = folder + "/asm.json"
                try text.write(toFile: file, atomically: true, encoding: .utf8)
                let ended = try await Program.run(
                    ["service", "--config", file, "--database", "sqlite:\(folder)/asm.sqlite"],
                    within: .seconds(10))

                #expect(ended.exitStatus == 64)
                for word in words { #expect(ended.errorText.contains(word), "\(ended.errorText)") }
                #expect(!ended.errorText.contains("NSCocoa"))
                #expect(ended.errorText.contains(file), "\(ended.errorText)")
            }
        }

        @Test("Numbers and switches count as JSON writes them, and as texts", .timeLimit(.minutes(1)))
        func numbers() async throws {
            try await withTemporaryFolder { folder in
                for port in ["0", "\"0\""] {
                    let file = folder + "/asm.json"
                    try
                        #"{"web": {"port": \#(port)}, "demo": true, "cluster": {"beatSeconds": 0.5}, "mail": {"leaseSeconds": 9}}"#
                        .write(toFile: file, atomically: true, encoding: .utf8)
                    let program = try await Program.asm(["up", "--data", folder + "/data", "--config", file])
                    #expect(try await program.port() != 8_080)
                    try await program.progress.until("the demonstration should be there") {
                        $0.outputText.contains("Demo Hospital") ? true : nil
                    }
                    try await program.kill()
                }
            }
        }

        @Test("A missing settings file is named with the reason", .timeLimit(.minutes(1)))
        func missingFile() async throws {
            let ended = try await Program.run(["up", "--config", "/nowhere/asm.json"])
            #expect(ended.exitStatus == 64)
            #expect(ended.errorText.contains("'/nowhere/asm.json' cannot be read: No such file or directory"))
        }

        @Test("A password on the line is refused, and nothing of it is said", .timeLimit(.minutes(1)))
        func passwordOnLine() async throws {
            let ended = try await Program.run([
                "send", "--web", "http://127.0.0.1:9", "--login", "a", "--to", "b", "--password", "canary",
                "x",
            ])
            #expect(ended.exitStatus == 64)
            #expect(ended.errorText.contains("--password-file") && !ended.errorText.contains("canary"))
        }

        @Test(
            "An error at work is one sentence, without a reminder of how to write commands",
            .timeLimit(.minutes(1)))
        func runtimeError() async throws {
            try await withTemporaryFolder { folder in
                let ended = try await Program.run(
                    [
                        "user", "add", "--customer", "St. Mary's", "ann", "--database",
                        "sqlite:\(folder)/asm.sqlite",
                    ], environment: ["ASM_PASSWORD": "long enough"])
                #expect(ended.exitStatus == 1)
                #expect(ended.errorText.contains(#"asm customer add 'St. Mary'\''s'"#), "\(ended.errorText)")
                #expect(!ended.errorText.contains("Usage"))
            }
        }
    }
}
