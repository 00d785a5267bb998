import Foundation

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// The `web.config` of an existing installation, read for its list of servers: key `Server` or `Servers` of `appSettings`.
///
/// As with .NET, the names of keys are the same in any case, and `clear` and `remove` count. Nothing outside the file is
/// looked at: a document type, an entity of its own and another file's settings are refused.
package struct WebConfigFile: Hashable, Sendable {
    /// A key that an installation with a list of servers has no use for, and that the set-up steps tell to delete.
    package struct Leftover: Hashable, Sendable, CustomStringConvertible {
        package enum Key: String, Hashable, Sendable { case port = "Port", channel = "channel" }

        package let key: Key
        /// Where its start tag ends: a parser says no more.
        package let line: Int

        /// The sentence that an operator needs.
        package var description: String {
            let what = "delete the element <add key=\"\(key.rawValue)\" … /> that ends at line \(line):"
            return switch key {
            case .port:
                "\(what) each server's port stands behind its name now, as in ServerA:PortA,ServerB:PortB"
            case .channel:
                "\(what) the key Server alone says where the servers are, as in ServerA:PortA,ServerB:PortB"
            }
        }
    }

    /// Nil when the file names none.
    package let servers: ServerList?
    package let leftovers: [Leftover]

    /// A longer file is none of these.
    package static let sizeLimit = 1 << 20

    /// Reads the file's bytes.
    package init(_ bytes: [UInt8]) throws(WebConfigError) {
        guard bytes.count <= Self.sizeLimit else { throw .tooLong(limitBytes: Self.sizeLimit) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        // Looked for before anything is parsed: without a document type there are no entities to expand.
        guard !text.contains("<!DOCTYPE") else { throw .documentType }
        if let encoding = Self.declaredEncoding(text), !["utf-8", "us-ascii", "ascii"].contains(encoding) {
            throw .notUTF8
        }
        let reader = AppSettingsReader()
        let parser = XMLParser(data: Data(bytes))
        parser.shouldResolveExternalEntities = false
        parser.delegate = reader
        // On Linux the answer of `parse` is true for broken files too.
        let isParsed = parser.parse()
        if let problem = reader.problem { throw problem }
        guard isParsed, reader.isWhole else { throw .notXML(line: max(parser.lineNumber, 1)) }
        servers = try Self.servers(reader.settings)
        leftovers = reader.settings.compactMap { setting in
            let key: Leftover.Key? =
                switch setting.key.lowercased() {
                case "port": .port
                case "channel": .channel
                default: nil
                }
            return key.map { Leftover(key: $0, line: setting.line) }
        }
    }

    private static func servers(_ settings: [AppSetting]) throws(WebConfigError) -> ServerList? {
        let lists = settings.filter { ["server", "servers"].contains($0.key.lowercased()) }
        guard let list = lists.first else { return nil }
        if lists.count > 1 { throw .severalLists(keys: lists.map(\.key), lines: lists.map(\.line)) }
        do { return try ServerList(list.value) } catch {
            var port: String?
            if case .invalidEntry(_, _, .missingPort) = error {
                port = settings.first { $0.key.lowercased() == "port" }?.value
            }
            throw .servers(error, key: list.key, line: list.line, leftoverPort: port)
        }
    }

    /// What the XML declaration says about the encoding, in lower case.
    private static func declaredEncoding(_ text: String) -> String? {
        guard let match = text.firstMatch(of: #/^\u{FEFF}?<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']/#)
        else {
            return nil
        }
        return match.output.1.lowercased()
    }
}

/// What keeps a `web.config` from being used; each text says what to do.
package enum WebConfigError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(limitBytes: Int)
    case notUTF8
    case documentType
    case notXML(line: Int)
    case wrongRoot(String)
    case noKey(line: Int)
    case encrypted(line: Int)
    case elsewhere(attribute: String, file: String, line: Int)
    case severalLists(keys: [String], lines: [Int])
    case servers(ServerListError, key: String, line: Int, leftoverPort: String?)

    package var description: String {
        switch self {
        case .tooLong(let limit): "it has more than \(limit) bytes; expected a web.config with appSettings"
        case .notUTF8: "it is not UTF-8; save it in that encoding"
        case .documentType:
            "it has a document type (<!DOCTYPE …>), which is not read for safety; delete it, with its entities"
        case .notXML(let line):
            "it is not well-formed XML at line \(line); expected <configuration><appSettings><add key=\"Server\" value=\"ServerA:PortA,ServerB:PortB\" />"
        case .wrongRoot(let name): "it begins with <\(name)>; expected <configuration>"
        case .noKey(let line):
            "the <add> that ends at line \(line) has no key; expected <add key=\"…\" value=\"…\" />"
        case .encrypted(let line):
            "line \(line): appSettings is encrypted; decrypt it on the old server (aspnet_regiis -pdf), or give the list with --server"
        case .elsewhere(let attribute, let file, let line):
            "line \(line): \(attribute)=\"\(file)\" names another file, which is not read; write the key Server into this one"
        case .severalLists(let keys, let lines):
            "\(keys.joined(separator: " and ")) (lines \(lines.map { "\($0)" }.joined(separator: " and "))) are several lists of servers; keep one key Server"
        case .servers(let error, let key, let line, let port):
            "key \(key), which ends at line \(line): \(error)"
                + (port.map {
                    "; write the port of the key Port (\($0)) behind each server's name, and delete that key"
                } ?? "")
        }
    }
}

private struct AppSetting {
    let key: String
    let value: String
    let line: Int
}

/// Gathers the settings of `configuration/appSettings` in the order of the file.
private final class AppSettingsReader: NSObject, XMLParserDelegate {
    private(set) var settings: [AppSetting] = []
    private(set) var problem: WebConfigError?
    private var path: [String] = []
    private var isBegun = false

    /// Whether the file had a root element, and all that was opened was closed.
    var isWhole: Bool { isBegun && path.isEmpty && problem == nil }

    func parser(_ parser: XMLParser, parseErrorOccurred error: any Error) {
        if problem == nil { problem = .notXML(line: max(parser.lineNumber, 1)) }
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
        qualifiedName: String?, attributes: [String: String]
    ) {
        isBegun = true
        path.append(name)
        if path.count == 1, name != "configuration" { return fail(parser, .wrongRoot(name)) }
        guard path.starts(with: ["configuration", "appSettings"]) else { return }
        if path.count == 2 { return begin(attributes, parser) }
        guard path.count == 3 else { return }
        switch name {
        case "add":
            guard let key = attributes["key"] else { return fail(parser, .noKey(line: parser.lineNumber)) }
            settings.append(AppSetting(key: key, value: attributes["value"] ?? "", line: parser.lineNumber))
        case "remove":
            settings.removeAll { $0.key.lowercased() == attributes["key"]?.lowercased() }
        case "clear": settings = []
        case "EncryptedData": fail(parser, .encrypted(line: parser.lineNumber))
        default: break
        }
    }

    func parser(
        _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
    ) {
        _ = path.popLast()
    }

    private func begin(_ attributes: [String: String], _ parser: XMLParser) {
        if attributes["configProtectionProvider"] != nil {
            return fail(parser, .encrypted(line: parser.lineNumber))
        }
        for attribute in ["configSource", "file"] {
            guard let file = attributes[attribute] else { continue }
            return fail(
                parser, .elsewhere(attribute: attribute, file: file, line: parser.lineNumber))
        }
    }

    private func fail(_ parser: XMLParser, _ error: WebConfigError) {
        if problem == nil { problem = error }
        parser.abortParsing()
    }
}
