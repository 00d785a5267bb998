import ArgumentParser
import Foundation

/// `asm settings`: what a command would use, and where it comes from.
struct SettingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings", abstract: "Show what a command would use, and where it comes from.",
        discussion: """
            Takes a command as it would be run, and runs nothing: it lists every setting of it, the variable of the \
            environment for each, and the value that it has with this line, this environment and this settings file.
            Example: asm settings web-service --config /etc/asm/web-service.json
            """)

    @Argument(parsing: .captureForPassthrough, help: "The command with its options.")
    var command: [String] = []

    func run() async throws {
        let given = try GivenSettings(
            command, environment: ProcessInfo.processInfo.environment, root: ASM.self)
        guard !given.command.isGroup else {
            throw ValidationError("Name a command that runs, such as: asm settings web-service")
        }
        let supplied = Dictionary(given.supplied.map { ($0.setting, $0) }) { first, _ in first }
        let rows = Setting.all(of: given.command.type).map { setting in
            let named = [setting.option, Setting.variable(setting.names[0])]
            if let value = given.valueOnLine(setting) {
                return named + [Self.withoutPassword(value), "this line"]
            }
            guard let found = supplied[setting] else { return named + ["-", "-"] }
            return named + [Self.text(of: found), found.origin]
        }
        try printTable(["SETTING", "VARIABLE", "VALUE", "FROM"], rows)
        _ = try ASM.parseAsRoot(given.arguments)
    }

    private static func text(of supplied: GivenSettings.Supplied) -> String {
        if supplied.setting.isSecret { return "(not shown)" }
        guard supplied.setting.value != nil else { return supplied.arguments.isEmpty ? "false" : "true" }
        return withoutPassword(
            supplied.arguments.map { $0.drop { $0 != "=" }.dropFirst() }.joined(separator: ","))
    }

    /// A value with the password of a URL left out: what is shown ends up in tickets.
    static func withoutPassword(_ value: String) -> String {
        value.replacing(/(:\/\/[^:\/@]*):[^@]*@/) { "\($0.output.1):…@" }
            .replacing(/([?&]password=)[^&]*/) { "\($0.output.1)…" }
    }
}
