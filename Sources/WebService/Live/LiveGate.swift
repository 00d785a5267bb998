import Domain
import NIOCore
import NIOHTTP1
import ServiceLink
import TransportSecurity

#if canImport(Glibc)
    import Glibc
#endif

/// Decides which connections may become live ones, and sets their sockets up.
struct LiveGate: Sendable {
    let hub: LiveHub
    let pool: LinkPool
    /// HTTPS; nil for plain HTTP.
    let security: SecurityFiles?
    /// Other sites whose pages may connect.
    let allowedOrigins: Set<WebOrigin>
    let trustedProxies: TrustedProxies
    let budget: HeldBytes

    /// Why a connection may not become a live one; nil when it may.
    func refusal(of head: HTTPRequestHead, peer: String?) -> Refusal? {
        let path = head.uri.prefix { $0 != "?" }
        guard head.method == .GET, path == ServiceAPI.live.path else {
            return Refusal(.notFound, "Live connections are made at \(ServiceAPI.live.path).")
        }
        guard head.version.minor >= 1, head.headers["Sec-WebSocket-Version"] == ["13"],
            head.headers["Sec-WebSocket-Key"].count == 1
        else {
            return Refusal(.badRequest, "This address speaks WebSocket (RFC 6455, version 13) only.")
        }
        return refusal(
            origins: head.headers["Origin"], host: head.headers.first(name: "Host"),
            isSecure: isSecure(
                forwarded: head.headers[canonicalForm: "X-Forwarded-Proto"].map(String.init), peer: peer))
    }

    /// Whether the site is an `https` one for its people: a trusted proxy that ends TLS says so.
    func isSecure(forwarded: [String], peer: String?) -> Bool {
        guard let scheme = forwarded.last, let peer, trustedProxies.contains(peer) else {
            return security != nil
        }
        return scheme.lowercased() == "https"
    }

    /// A browser's page must be of this very site; other programs send no `Origin`.
    func refusal(origins: [String], host: String?, isSecure: Bool) -> Refusal? {
        guard !hub.isDraining else {
            return Refusal(
                .unavailable, "This server is going; connect to another.", retryAfterMilliseconds: 500)
        }
        guard let first = origins.first else { return nil }
        if origins.count == 1, let origin = WebOrigin(first) {
            if allowedOrigins.contains(origin) { return nil }
            if let host, origin == WebOrigin(host: host, isSecure: isSecure) { return nil }
        }
        return Refusal(
            .forbidden,
            "A page of another site may not connect here. Where it is this site's own, a proxy changes `Host`, or ends TLS "
                + "without being one of the trusted proxies.")
    }

    /// Whose the bytes of a request are; nil when a trusted proxy does not say.
    func client(of head: HTTPRequestHead, peer: String?) -> String? {
        client(peer: peer, forwarded: head.headers[canonicalForm: "X-Forwarded-For"].map(String.init))
    }

    func client(peer: String?, forwarded: [String]) -> String? {
        guard let peer else { return nil }
        guard trustedProxies.contains(peer) else { return peer.clientOfAddress }
        return trustedProxies.client(forwarded: forwarded)?.clientOfAddress
    }

    /// What a connection becomes when it goes live.
    func session(on channel: any Channel, _ share: ConnectionShare) -> LiveSession {
        LiveSession(hub: hub, pool: pool, mailbox: hub.mailbox(of: channel.eventLoop), share: share)
    }

    /// What may wait of answers to a client that does not read them: then nothing more is read from it.
    private static let answersBytes = 64 * 1024

    /// How long the system waits before it asks a silent peer whether it is there, how often, and how many times.
    private static let probeAfterSeconds = 60
    private static let probeEverySeconds = 15
    private static let probes = 4

    /// Sets the bounds of a live connection's socket. The system finds peers that are gone, at no cost to us.
    func configure(_ channel: any Channel) throws {
        let options = channel.syncOptions
        // Entries alone never fill it: what the client sends is read on, and answered beside them.
        let entries = max(hub.limits.outgoingBytes, hub.limits.frameBytes)
        try options?.setOption(
            .writeBufferWaterMark, value: .init(low: entries / 4, high: entries + Self.answersBytes))
        try options?.setOption(.allowRemoteHalfClosure, value: false)
        try options?.setOption(.socketOption(.so_keepalive), value: 1)
        #if canImport(Glibc)
            let unsent = ChannelOptions.Types.SocketOption(
                level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT))
            try options?.setOption(unsent, value: SocketOptionValue(hub.limits.unsentBytes))
            let times = [
                (TCP_KEEPIDLE, Self.probeAfterSeconds), (TCP_KEEPINTVL, Self.probeEverySeconds),
                (TCP_KEEPCNT, Self.probes),
            ]
            for (name, value) in times {
                let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: name))
                try options?.setOption(option, value: SocketOptionValue(value))
            }
        #endif
    }
}
