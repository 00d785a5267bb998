import ArgumentParser
import Foundation

/// An option of a command, which can also be given in the environment and in a settings file.
///
/// It is declared once, as the option: its names, its kind, its default and its range are read from there.
struct Setting: Hashable {
    /// Without the dashes; the first one is the name that messages use.
    let names: [String]
    /// What is told of its value, such as `host:port`; nil for a switch, which is on or off.
    let value: String?
    /// Whether it can be given several times.
    let isRepeating: Bool
    /// Whether its only values are yes and no.
    let isYesOrNo: Bool

    var option: String { "--" + (names.first ?? "") }
    /// Whether several values stand in it with commas between them.
    var isList: Bool { isRepeating || value?.hasSuffix(",…") == true }
    /// Whether it must not stand on a command line, which everybody on the machine can read.
    var isSecret: Bool { names.contains { $0 == "password" || $0.hasSuffix("-password") } }

    /// The variable that a name has in the environment: `--web-port` is `ASM_WEB_PORT`.
    static func variable(_ name: String) -> String {
        variablePrefix + name.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    static let variablePrefix = "ASM_"

    /// The name that a variable of the environment stands for.
    static func name(ofVariable variable: Substring) -> String {
        variable.lowercased().replacingOccurrences(of: "_", with: "-")
    }

    /// The name that a key of a settings file stands for: `web.port`, `webPort` and `web-port` are `--web-port`.
    static func name(ofKey path: [String]) -> String {
        path.map { key in
            let letters = Array(key)
            return letters.indices.map { index in
                let letter = letters[index]
                if letter == "." || letter == "_" { return "-" }
                guard letter.isUppercase, index > 0 else { return letter.lowercased() }
                let beginsWord =
                    !letters[index - 1].isUppercase
                    || (index + 1 < letters.count && letters[index + 1].isLowercase)
                return (beginsWord ? "-" : "") + letter.lowercased()
            }.joined()
        }.joined(separator: "-")
    }

    /// All settings of one command.
    static func all(of command: any ParsableCommand.Type) -> [Setting] {
        // The parser's own description of the command; one that cannot be read has no settings, which a test would see.
        let form = try? JSONDecoder().decode(CommandForm.self, from: Data(command._dumpHelp().utf8))
        return (form?.command.arguments ?? []).compactMap(Setting.init)
    }

    private init?(_ form: CommandForm.Argument) {
        names = (form.names ?? []).filter { $0.kind == "long" }.map(\.name)
        guard form.kind != "positional", !names.isEmpty, !Self.askings.contains(names[0]) else { return nil }
        value = form.kind == "flag" ? nil : form.valueName ?? "value"
        isRepeating = form.isRepeating
        isYesOrNo = form.allValues == YesOrNo.allCases.map(\.rawValue)
    }

    /// Options that ask for something to be shown, and set nothing.
    private static let askings = ["help", "version"]
}

/// What the argument parser says of a command.
private struct CommandForm: Decodable {
    struct Command: Decodable { let arguments: [Argument]? }
    struct Name: Decodable {
        let kind: String
        let name: String
    }
    struct Argument: Decodable {
        let kind: String
        let names: [Name]?
        let valueName: String?
        let isRepeating: Bool
        let allValues: [String]?
    }

    let command: Command
}

/// The command that a command line asks for.
struct ChosenCommand {
    let type: any ParsableCommand.Type
    /// Its name with those above it: `asm events mail add`.
    let name: String
    /// How many arguments name it.
    let depth: Int

    /// Follows the names of subcommands as far as they go.
    init(_ arguments: [String], of root: any ParsableCommand.Type) {
        var type = root
        var name = root._commandName
        var depth = 0
        while let next = arguments.dropFirst(depth).first.flatMap({ word in
            type.configuration.subcommands.first { $0._commandName == word }
        }) {
            type = next
            name += " " + next._commandName
            depth += 1
        }
        if let usual = type.configuration.defaultSubcommand {
            type = usual
            name += " " + usual._commandName
        }
        self.type = type
        self.name = name
        self.depth = depth
    }

    private init(_ type: any ParsableCommand.Type, name: String) {
        self.type = type
        self.name = name
        depth = 0
    }

    var isGroup: Bool { !type.configuration.subcommands.isEmpty }

    /// Every command that does something.
    static func all(of root: any ParsableCommand.Type) -> [ChosenCommand] {
        let command = ChosenCommand(root, name: root._commandName)
        return command.isGroup ? command.below : [command]
    }

    private var below: [ChosenCommand] {
        type.configuration.subcommands.flatMap { sub in
            let command = ChosenCommand(sub, name: name + " " + sub._commandName)
            return command.isGroup ? command.below : [command]
        }
    }
}

/// A command that runs on by itself and has a settings file of its own, in which nothing else may stand.
protocol ServerCommand: AsyncParsableCommand {}
