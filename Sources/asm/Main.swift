import ArgumentParser
import Foundation

#if FAILPOINTS
    import Failpoints
#endif

@main
struct ASM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asm",
        abstract: "Secure messages for hospitals and answering services, on as many servers as you like.",
        discussion: """
            A first look, everything in one process:
              asm up --demo

            On servers of your own: `asm service` beside a PostgreSQL database, `asm web-service` in front of it.
            Every option can also be given in the environment (--web-port as ASM_WEB_PORT) or in a JSON file \
            named with --config ({"web": {"port": 8080}}); an option wins over the environment, and that over the file. \
            `asm settings COMMAND` shows what a command would use, and where it comes from.
            """,
        version: Software.version,
        subcommands: [
            UpCommand.self, ServiceCommand.self, WebServiceCommand.self, AdminWebCommand.self,
            DrainCommand.self, MigrateCommand.self, ServersCommand.self, LicenseCommand.self,
            CustomerCommand.self,
            UserCommand.self, LogCommand.self, EventsCommand.self, CertificatesCommand.self,
            SendCommand.self,
            ListenCommand.self, BenchCommand.self, DrillCommand.self, WatchCommand.self, SettingsCommand.self,
        ])

    #if FAILPOINTS
        /// Arms what tests want to happen; the same for every command.
        func validate() throws {
            do { try Sabotage.load() } catch { throw ValidationError("\(error)") }
        }
    #endif

    static func main() async {
        CrashTrace.arm()
        Terminal.prepare()
        endProcess(await status(of: Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs the command of a line; the status to end with.
    private static func status(of arguments: [String]) async -> Int32 {
        var given: GivenSettings?
        var command: any ParsableCommand
        do {
            let settings = try GivenSettings(
                arguments, environment: ProcessInfo.processInfo.environment, root: ASM.self)
            for warning in settings.warnings { Terminal.note("Warning: " + warning) }
            given = settings
            command = try parseAsRoot(settings.arguments)
        } catch {
            let status = told(error, given, isOfLine: true)
            let type = ChosenCommand(arguments, of: ASM.self).type as? any SaysItsStatus.Type
            return status == ExitCode.validationFailure.rawValue
                ? type?.statusOfBadSettings ?? status : status
        }
        do {
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return ExitCode.success.rawValue
        } catch {
            return told(error, given, isOfLine: false)
        }
    }

    /// Says why a command ended; the status that it ends with.
    /// - Parameter isOfLine: the line is at fault, and how it is written is worth a reminder.
    private static func told(_ error: any Error, _ given: GivenSettings?, isOfLine: Bool) -> Int32 {
        if case OutputFailure.closed = error { return OutputFailure.closedStatus }
        let status = exitCode(for: error)
        guard !status.isSuccess else {
            do { try Terminal.out(text: fullMessage(for: error)) } catch {
                return told(error, nil, isOfLine: false)
            }
            return status.rawValue
        }
        let message = message(for: error)
        guard !message.isEmpty else { return status.rawValue }
        // What comes from outside must not look like a line of its own.
        var text = "Error: " + message.replacingOccurrences(of: "\n", with: "\n  ")
        for origin in given?.origins(in: message) ?? [] { text += "\n  " + origin }
        if isOfLine, given != nil {
            text +=
                "\n"
                + fullMessage(for: error).split(separator: "\n").drop { !$0.hasPrefix("Usage:") }
                .joined(separator: "\n")
        }
        Terminal.notes(text)
        return status.rawValue
    }
}

private func endProcess(_ status: Int32) -> Never { exit(status) }

/// A command whose status says what it found, also when it could not begin.
protocol SaysItsStatus: AsyncParsableCommand {
    static var statusOfBadSettings: Int32 { get }
}

/// A failure told in a plain sentence; the exit status is 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What this program calls itself.
enum Software {
    static let version = "0.1.0"
    static let name = "asm/" + version
}
