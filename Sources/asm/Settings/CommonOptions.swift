import ArgumentParser
import Logging

/// The settings file, as every command takes it; `GivenSettings` has read it before the command is made.
struct SettingsFileOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A JSON file with options under their names, such as {\"web\": {\"port\": 8080}}.",
            valueName: "file"))
    var config: String?
}

/// Options of every command that opens a database or listens.
struct CommonOptions: ParsableArguments {
    @OptionGroup var file: SettingsFileOption

    @Option(
        help: ArgumentHelp("How much to log: debug, info, notice, warning or error.", valueName: "level"),
        transform: level)
    var logLevel = Logger.Level.notice

    func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { StreamLogHandler(label: $0, stream: LogLines()) }
        logger.logLevel = logLevel
        return logger
    }
}
