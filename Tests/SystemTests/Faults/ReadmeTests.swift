import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What README.md tells a newcomer", .serialized)
    struct ReadmeTests {
        /// The lines of the code blocks of a part of the page, without their comments.
        private static func commands(under heading: String) throws -> [String] {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            let page = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
            let part = try #require(page.components(separatedBy: "\n## \(heading)\n").dropFirst().first)
                .components(separatedBy: "\n##")[0]
            let blocks = part.components(separatedBy: "```")
            return blocks.indices.filter { $0 % 2 == 1 }.flatMap {
                blocks[$0].split(separator: "\n").dropFirst()
            }
            .map { line in
                (line.range(of: "  #").map { line[..<$0.lowerBound] } ?? line)
                    .trimmingCharacters(in: .whitespaces)
            }
        }

        /// What is another here than on a newcomer's machine: which PostgreSQL it is, and which ports are free. What needs
        /// root has been done by `make test`: PostgreSQL is installed, and the program is the one that is tested.
        private static func adapted(_ commands: [String], to postgres: PostgresServer) throws -> [String] {
            var replacements = [
                ("sudo -u postgres psql", "psql -h 127.0.0.1 -p \(postgres.port) -U postgres"),
                ("@127.0.0.1/asm", "@127.0.0.1:\(postgres.port)/asm"),
            ]
            for port in ["7401", "7402", "8081", "8082"] {
                replacements.append((":" + port, ":\(try LoopbackPort.free())"))
            }
            let elsewhere = ["sudo make install", "sudo apt-get install --yes postgresql"]
            #expect(elsewhere.allSatisfy(commands.contains), "\(commands)")
            for (old, _) in replacements {
                #expect(commands.contains { $0.contains(old) }, "\(old) is not in README.md any more")
            }
            return commands.filter { !elsewhere.contains($0) }.map { command in
                replacements.reduce(command) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
            }
        }

        @Test(
            "The two servers on PostgreSQL run as the page says, line by line, and one of them is enough",
            .timeLimit(.minutes(3)))
        func twoServers() async throws {
            let postgres = try PostgresServer()
            let commands = try Self.adapted(
                Self.commands(under: "Two servers on PostgreSQL"), to: postgres)
            try await withTemporaryFolder { folder in
                try FileManager.default.createSymbolicLink(
                    atPath: folder + "/asm", withDestinationPath: try Program.asmPath())
                var first = "cd \(folder); PATH=\(folder):$PATH; umask 077"
                var servers: [Program] = []
                func run(_ command: String) async throws -> Program {
                    try await Program(
                        command, path: "/bin/bash", ["-euc", "\(first); \(command)"])
                }
                var last: Program.Progress?
                for command in commands {
                    if command.hasPrefix("export ") {
                        first += "; " + command
                    } else if command.hasPrefix("asm service") || command.hasPrefix("asm web-service") {
                        let server = try await run("exec " + command)
                        _ = try await server.port()
                        servers.append(server)
                    } else {
                        let ended = try await run(command).ended(within: .seconds(60))
                        #expect(ended.exitStatus == 0, "\(command): \(ended.outputText)\(ended.errorText)")
                        last = ended
                    }
                }
                #expect(servers.count == 4)
                #expect(last?.errorText.contains("Sent 1 message") == true, "\(last?.errorText ?? "")")
                let listed = try await run("asm servers --json").ended()
                let states = try JSONDecoder().decode(JSON.self, from: Data(listed.output))["servers"].list
                    .map { $0["state"].text }
                #expect(states == ["active", "active"], "\(listed.outputText)")

                try await servers[0].kill()
                let again = try #require(commands.last)
                let ended = try await run(again).ended(within: .seconds(60))
                #expect(
                    ended.exitStatus == 0 && ended.errorText.contains("Sent 1 message"), "\(ended.errorText)")
                for server in servers.dropFirst() { try await server.kill() }
            }
            postgres.stop()
        }
    }
}
