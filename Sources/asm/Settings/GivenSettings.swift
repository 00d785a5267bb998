import ArgumentParser
import Foundation

/// What a command was given: on its line, else in the environment, else in its settings file.
///
/// What is not on the line is put there before it is parsed, so that a value means the same, and is checked the same,
/// wherever it comes from.
struct GivenSettings {
    /// A setting that is not on the line.
    struct Supplied {
        let setting: Setting
        /// What is put on the line for it; nothing for a switch that is off.
        let arguments: [String]
        /// Where it stands: `ASM_WEB_PORT`, or `'web.port' in 'asm.json'`.
        let origin: String
    }

    /// The whole line.
    let arguments: [String]
    let command: ChosenCommand
    private(set) var supplied: [Supplied] = []
    /// Of variables that look like settings and are none.
    private(set) var warnings: [String] = []

    init(_ arguments: [String], environment: [String: String], root: any ParsableCommand.Type) throws {
        let command = ChosenCommand(arguments, of: root)
        self.command = command
        let line = arguments.dropFirst(command.depth)
        guard !command.isGroup, !Self.asksForHelp(arguments) else {
            self.arguments = arguments
            return
        }
        let settings = Setting.all(of: command.type)
        let onLine = Self.names(in: line)
        if let secret = settings.first(where: { $0.isSecret && !onLine.isDisjoint(with: $0.names) }) {
            throw ValidationError(
                "\(secret.option) would be read by everybody on this machine: put it into a file (\(secret.option)-file FILE) or into \(Setting.variable(secret.names[0]))."
            )
        }
        warnings = Self.misspelt(environment, root: root, known: settings)
        let path = Self.value(of: "config", in: line) ?? environment[Setting.variable("config")]
        let file = try path.flatMap { $0.isEmpty ? nil : try SettingsFile(path: $0) }
        try file?.check(for: command, settings, root: root)
        for setting in settings where onLine.isDisjoint(with: setting.names) && setting.names != ["config"] {
            if let supplied = try Self.find(setting, environment, file) { self.supplied.append(supplied) }
        }
        self.arguments = arguments.prefix(command.depth) + supplied.flatMap(\.arguments) + line
    }

    private static func find(
        _ setting: Setting, _ environment: [String: String], _ file: SettingsFile?
    ) throws -> Supplied? {
        for variable in setting.names.map(Setting.variable) {
            guard let text = environment[variable], !text.isEmpty else { continue }
            return Supplied(
                setting: setting, arguments: try setting.arguments(for: .text(text), from: variable),
                origin: variable)
        }
        let entries = setting.names.compactMap { file?.entries[$0] }
        guard let file, let entry = entries.first else { return nil }
        guard entries.count == 1 else {
            throw ValidationError(
                "'\(entries[0].key)' and '\(entries[1].key)' in '\(file.path)' are the same setting: keep one."
            )
        }
        let origin = "'\(entry.key)' in '\(file.path)'"
        return Supplied(
            setting: setting, arguments: try setting.arguments(for: entry.value, from: origin), origin: origin
        )
    }

    /// Says of the settings that a message speaks of, where they come from when they are not on the line.
    func origins(in message: String) -> [String] {
        supplied.filter { supplied in
            supplied.setting.names.contains { message.names(option: "--" + $0) }
        }.map { "\($0.setting.option) comes from \($0.origin)." }
    }

    private static func asksForHelp(_ arguments: [String]) -> Bool {
        arguments.first == "help"
            || arguments.prefix { $0 != "--" }.contains {
                ["-h", "--help", "--version", "--experimental-dump-help"].contains($0)
                    || $0.hasPrefix("--generate-completion-script") || $0.hasPrefix("---")
            }
    }

    /// The options of a line: what begins with two dashes is one, up to `--` alone.
    private static func names(in line: ArraySlice<String>) -> Set<String> {
        Set(
            line.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }
                .map { String($0.dropFirst(2).prefix { $0 != "=" }) })
    }

    /// What the line itself says of a setting; nil when it says nothing.
    func valueOnLine(_ setting: Setting) -> String? {
        let line = arguments.dropFirst(command.depth + supplied.flatMap(\.arguments).count)
        guard let name = setting.names.first(where: Self.names(in: line).contains) else { return nil }
        return setting.value == nil ? "true" : Self.value(of: name, in: line)
    }

    private static func value(of name: String, in line: ArraySlice<String>) -> String? {
        let line = Array(line.prefix { $0 != "--" })
        guard let index = line.lastIndex(where: { $0 == "--\(name)" || $0.hasPrefix("--\(name)=") }) else {
            return nil
        }
        if line[index] != "--\(name)" { return String(line[index].dropFirst(name.count + 3)) }
        return index + 1 < line.count ? line[index + 1] : nil
    }

    /// Variables that are no setting of any command, and look like one. Others are another program's.
    private static func misspelt(
        _ environment: [String: String], root: any ParsableCommand.Type, known: [Setting]
    ) -> [String] {
        let own = Set(known.flatMap(\.names))
        let strange = environment.keys.filter { $0.hasPrefix(Setting.variablePrefix) }
            .map {
                (variable: $0, name: Setting.name(ofVariable: $0.dropFirst(Setting.variablePrefix.count)))
            }
            .filter { !own.contains($0.name) }
        guard !strange.isEmpty else { return [] }
        let all = own.union(ChosenCommand.all(of: root).flatMap { Setting.all(of: $0.type) }.flatMap(\.names))
        return strange.sorted { $0.variable < $1.variable }.compactMap { variable, name in
            guard !all.contains(name),
                let near = nearest(to: name, among: all, within: max(1, name.count / 4))
            else { return nil }
            return
                "There is no setting \(variable): did you mean \(Setting.variable(near))? It has no effect."
        }
    }
}

extension Setting {
    /// What is put on a command line for a value that stands elsewhere.
    func arguments(for value: SettingsFile.Value, from origin: String) throws -> [String] {
        guard let expected = self.value else {
            guard let isOn = value.isOn else {
                throw ValidationError("\(origin) is \(value); expected true or false.")
            }
            return isOn ? [option] : []
        }
        switch value {
        case .text(let text):
            // One text may hold several values also where the line says the option several times.
            let values = isRepeating ? text.split(separator: ",").map(String.init) : [text]
            return values.map { option + "=" + $0 }
        case .bool(let isOn):
            guard isYesOrNo else {
                throw ValidationError("\(origin) is \(value); expected a text or a number (\(expected)).")
            }
            return [option + "=" + (isOn ? YesOrNo.yes : .no).rawValue]
        case .list(let values):
            guard isList else {
                throw ValidationError("\(origin) is \(value); expected one value (\(expected)).")
            }
            return isRepeating
                ? values.map { option + "=" + $0 } : [option + "=" + values.joined(separator: ",")]
        }
    }
}

extension SettingsFile.Value: CustomStringConvertible {
    var description: String {
        switch self {
        case .text(let text): "'\(text)'"
        case .bool(let isOn): "\(isOn)"
        case .list: "a list"
        }
    }

    /// What it says of a switch; nil when it says neither.
    fileprivate var isOn: Bool? {
        switch self {
        case .bool(let isOn): return isOn
        case .list: return nil
        case .text(let text):
            let word = text.lowercased()
            if ["true", "yes", "on", "1"].contains(word) { return true }
            return ["false", "no", "off", "0"].contains(word) ? false : nil
        }
    }
}

extension String {
    /// Whether the text speaks of an option, and not of one whose name only begins so.
    fileprivate func names(option: String) -> Bool {
        ranges(of: option).contains { range in
            guard range.upperBound < endIndex else { return true }
            let next = self[range.upperBound]
            return !next.isLetter && !(next == "-")
        }
    }
}
