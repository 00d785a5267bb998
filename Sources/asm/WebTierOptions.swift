import ArgumentParser
import Logging
import ServiceLink
import TransportSecurity

/// What every process of the web tier takes: its servers, how it is encrypted, how it ends.
struct WebTierOptions: ParsableArguments {
    @OptionGroup var servers: ServerListOptions
    @OptionGroup var draining: DrainOptions
    @OptionGroup var security: WebSecurityOptions
    @OptionGroup var link: LinkSecurityOptions
    @OptionGroup var common: CommonOptions

    /// Reads the settings that these options and the other sources stand for, and checks them.
    /// - Parameters:
    ///   - listen: what the command line says of the address.
    ///   - more: what else the command line says.
    ///   - usual: the address where nothing says it.
    ///   - label: of the log.
    func read(
        listen: String?, usual: String, label: String, more: [String: String?] = [:]
    ) async throws -> WebTierSettings {
        let settings = try await common.settings(
            servers.values.merging(draining.values) { $1 }.merging(security.settings) { $1 }
                .merging(link.settings) { $1 }.merging(more) { $1 }
                .merging(["listen": listen]) { $1 })
        let logger = try settings.logger(label)
        let servers = try settings.serverList(logger)
        let address = try settings.parsed("listen", settings.string("listen") ?? usual) {
            try BindAddress($0)
        }
        return WebTierSettings(
            all: settings, logger: logger, servers: servers, address: address,
            drainDelay: try settings.drainDelay(),
            security: try settings.webSecurity(at: address, logger),
            linkSecurity: try settings.linkSecurity(for: .linkClient, at: servers.addresses, logger))
    }
}

/// The settings of a process of the web tier.
struct WebTierSettings {
    /// Where what only one of the processes takes is read from.
    let all: Settings
    let logger: Logger
    let servers: ServerList
    let address: BindAddress
    let drainDelay: Duration
    /// HTTPS; nil for plain HTTP.
    let security: SecurityFiles?
    /// Mutual TLS to the ASM Services; nil for plain text.
    let linkSecurity: SecurityFiles?
}
