import Foundation
import Synchronization
import Testing

@testable import SystemSupport

/// Runs commands that must succeed, and remembers which.
final class EveryCommand: Sendable {
    private let ran = Mutex<Set<String>>([])

    var commands: Set<String> { ran.withLock { $0 } }

    /// - Parameters:
    ///   - command: its words: "events mail add".
    ///   - word: what it must say.
    ///   - status: with which it ends.
    /// - Returns: what it said.
    @discardableResult
    func run(
        _ command: String, _ arguments: [String], says word: String,
        status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let words = command.split(separator: " ").map(String.init)
        let ended = try await Program.run(words + arguments)
        let said = Comment(rawValue: "asm \(command): \(ended.outputText)\n\(ended.errorText)")
        #expect(ended.exitStatus == status, said, sourceLocation: sourceLocation)
        #expect((ended.outputText + ended.errorText).contains(word), said, sourceLocation: sourceLocation)
        note(command)
        return ended.outputText
    }

    /// Notes a command that was run otherwise.
    func note(_ commands: String...) { ran.withLock { $0.formUnion(commands) } }

    private struct Help: Decodable {
        struct Command: Decodable {
            let commandName: String
            let subcommands: [Command]?

            /// The words of every command below that does something itself.
            func leaves(after words: [String] = []) -> [String] {
                let below = (subcommands ?? []).filter { $0.commandName != "help" }
                guard !below.isEmpty else { return [(words + [commandName]).joined(separator: " ")] }
                return below.flatMap { $0.leaves(after: words + [commandName]) }
            }
        }

        let command: Command
    }

    /// Every command that the program has, without `asm`.
    static func all() async throws -> Set<String> {
        let help = try await Program.run(["--experimental-dump-help"])
        let command = try JSONDecoder().decode(Help.self, from: Data(help.output)).command
        return Set(command.leaves().map { String($0.dropFirst("asm ".count)) })
    }
}
