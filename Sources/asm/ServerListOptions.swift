import ArgumentParser
import Foundation
import Logging
import ServiceLink

/// Which ASM Services to use, as the Web Service and the Admin Web take it.
struct ServerListOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The ASM Services: ServerA:PortA,ServerB:PortB.", valueName: "host:port,…"))
    var server: String?

    @Option(
        help: ArgumentHelp(
            "A web.config whose appSettings hold the key Server, for when nothing else says it.",
            valueName: "file"))
    var webConfig: String?

    /// The servers to use: option over environment over our own file over `web.config`.
    ///
    /// A `web.config` is read only where it is named: nothing is found by luck. One that is named must be sound, even
    /// when something else has the last word.
    func list(_ logger: Logger) throws -> ServerList {
        let file = webConfig.flatMap { $0.isEmpty ? nil : $0 }
        let webConfig = try file.map { try Self.read($0) }
        if let file, let webConfig {
            for leftover in webConfig.leftovers {
                logger.warning(
                    "A key is left over in web.config",
                    metadata: ["file": "\(file)", "advice": "\(leftover)"])
            }
        }
        if let server, !server.isEmpty {
            let servers: ServerList
            do { servers = try ServerList(server) } catch { throw ValidationError("--server: \(error)") }
            if let file, let other = webConfig?.servers, other != servers {
                logger.notice(
                    "Another setting has precedence over the Server key of web.config",
                    metadata: ["file": "\(file)", "servers": "\(servers)"])
            }
            return servers
        }
        if let servers = webConfig?.servers { return servers }
        if let file {
            throw ValidationError(
                "'\(file)' has no key Server. Expected in its appSettings: <add key=\"Server\" value=\"ServerA:PortA,ServerB:PortB\" />"
            )
        }
        throw ValidationError(
            "--server is missing. Example: --server 10.0.0.11:7400,10.0.0.12:7400, or --web-config FILE with a key Server"
        )
    }

    private static func read(_ file: String) throws -> WebConfigFile {
        let bytes: [UInt8]
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            defer { handle.closeFile() }
            bytes = Array(try handle.read(upToCount: WebConfigFile.sizeLimit + 1) ?? Data())
        } catch {
            let reason = (error as NSError).localizedDescription
            throw ValidationError(
                "'\(file)' cannot be read (\(reason)). Name the web.config of the old installation, or give --server."
            )
        }
        do { return try WebConfigFile(bytes) } catch { throw ValidationError("'\(file)': \(error).") }
    }
}
