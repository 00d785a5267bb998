import ArgumentParser
import Configuration
import Logging
import SystemPackage

/// Options that every long-running command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A JSON file with settings under the same names.", valueName: "file"))
    var config: String?

    @Option(help: "How much to log: debug, info, notice, warning or error. Default: notice.")
    var logLevel: String?

    /// Options over environment over file; the same keys in all three.
    func settings(_ options: [String: String?]) async throws -> Settings {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (key, value) in options {
            guard let value else { continue }
            values[Settings.key(key)] = ConfigValue(stringLiteral: value)
        }
        if let logLevel { values[Settings.key("log.level")] = ConfigValue(stringLiteral: logLevel) }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "options", values: values),
            EnvironmentVariablesProvider().prefixKeys(with: "asm"),
        ]
        if let config {
            do {
                providers.append(try await FileProvider<JSONSnapshot>(filePath: FilePath(config)))
            } catch {
                throw ValidationError(
                    "The settings file '\(config)' cannot be read as JSON (\(error)). Expected an object such as "
                        + #"{"web": {"port": 8080}}."#)
            }
        }
        return Settings(reader: ConfigReader(providers: providers))
    }
}

/// The settings of one command, checked when they are asked for.
struct Settings {
    let reader: ConfigReader

    static func key(_ dotted: String) -> AbsoluteConfigKey {
        AbsoluteConfigKey(dotted.split(separator: ".").map(String.init))
    }

    func string(_ key: String) -> String? { reader.string(forKey: ConfigKey(key)) }

    /// The text of a setting with several entries between commas; in a settings file it may be an array, too.
    func list(_ key: String) -> String? {
        let text = string(key) ?? reader.stringArray(forKey: ConfigKey(key))?.joined(separator: ",")
        return text.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The text of a setting that the command cannot do without.
    func required(_ key: String, example: String) throws -> String {
        if let value = string(key), !value.isEmpty { return value }
        let option = "--" + key.split(separator: ".").joined(separator: "-")
        throw ValidationError("\(option) is missing. Example: \(option) \(example)")
    }

    func port(_ key: String, default value: Int) throws -> Int {
        guard let text = string(key) else { return value }
        guard let port = Int(text), (0...65_535).contains(port) else {
            throw ValidationError("\(key) is '\(text)'; expected a port from 0 to 65535.")
        }
        return port
    }

    /// Reads a value with a parser of its own and says for which setting the text is wrong.
    func parsed<Value>(_ key: String, _ text: String, _ parse: (String) throws -> Value) throws -> Value {
        do { return try parse(text) } catch { throw ValidationError("\(key): \(error)") }
    }

    func logger(_ label: String) throws -> Logger {
        let text = string("log.level") ?? "notice"
        guard let level = Logger.Level(rawValue: text) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("log.level is '\(text)'; expected one of \(levels).")
        }
        var logger = Logger(label: label) { StreamLogHandler(label: $0, stream: LogLines()) }
        logger.logLevel = level
        return logger
    }
}
