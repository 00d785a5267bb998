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

    /// Reads the files that these options name, and checks that they fit together.
    /// - Parameters:
    ///   - address: where the process listens.
    ///   - label: of the log.
    func read(at address: BindAddress, label: String) throws -> WebTierSettings {
        let logger = common.logger(label)
        let servers = try servers.list(logger)
        return WebTierSettings(
            logger: logger, servers: servers,
            security: try security.files(at: address, logger),
            linkSecurity: try link.files(for: .linkClient, at: servers.addresses, logger))
    }
}

/// What a process of the web tier is made of.
struct WebTierSettings {
    let logger: Logger
    let servers: ServerList
    /// HTTPS; nil for plain HTTP.
    let security: SecurityFiles?
    /// Mutual TLS to the ASM Services; nil for plain text.
    let linkSecurity: SecurityFiles?
}
