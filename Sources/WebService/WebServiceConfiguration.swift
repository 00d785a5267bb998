package import ServiceLink
package import TransportSecurity

/// What a Web Service must be told.
package struct WebServiceConfiguration: Sendable {
    /// Where clients connect; port 0 asks the system for a free one.
    package var address: BindAddress
    /// The ASM Services that do the work.
    package var servers: ServerList
    /// Pages of these sites may open live connections beside the own site's: `https://host` or `https://host:port`.
    package var allowedOrigins: [String] = []
    /// Proxies whose `X-Forwarded-For` is believed.
    package var trustedProxies = TrustedProxies()
    /// What the process calls itself towards the servers, for their logs.
    package var name = "web-service"
    package var software = "asm"
    package var limits = WebServiceLimits()
    package var linkLimits = LinkLimits()
    /// HTTPS; nil for plain HTTP.
    package var security: SecurityFiles?
    /// Mutual TLS on the service link; nil for plain text.
    package var linkSecurity: SecurityFiles?

    package init(address: BindAddress, servers: ServerList) {
        self.address = address
        self.servers = servers
    }
}
