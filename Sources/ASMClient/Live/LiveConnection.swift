package import Domain
package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// What hears a live connection. Everything is called on the connection's event loop.
package protocol LiveHandler: AnyObject {
    /// The WebSocket stands; `outlet` sends until `closed`. The first frame must be `hello`.
    func opened(_ outlet: LiveOutlet)
    func received(_ frame: ServerFrame)
    /// Everything that came with one read has been given to `received`.
    func readEnded()
    /// The connection is gone; nothing follows.
    func closed(_ end: LiveEnd)
}

/// How a live connection came to its end.
package enum LiveEnd: Error, Hashable, Sendable, CustomStringConvertible {
    case closedHere
    /// The server closed it, with a WebSocket close code if it gave one.
    case closedByServer(code: Int?)
    case broken(String)

    package var description: String {
        switch self {
        case .closedHere: "this side closed the connection"
        case .closedByServer(nil): "the server closed the connection"
        case .closedByServer(let code?): "the server closed the connection with code \(code)"
        case .broken(let reason): reason
        }
    }
}

/// Whom live connections trust; made once, since reading certificates takes its time.
package struct LiveSecurity: Sendable {
    let context: NIOSSLContext

    package init(_ configuration: ClientConfiguration) throws {
        context = try NIOSSLContext(configuration: configuration.tls())
    }
}

/// An open WebSocket to a Web Service.
package struct LiveConnection: Sendable {
    /// How long connecting may take, and how long the upgrade.
    package static let connectTimeout = TimeAmount.seconds(5)
    /// The largest frame taken from a server: 500 entries of the largest text, generously.
    static let frameByteLimit = 64 << 20

    package let channel: any Channel
    private let outlet: NIOLoopBound<LiveOutlet>

    /// Connects and upgrades.
    /// - Parameters:
    ///   - security: whom to trust where the address is secure.
    ///   - local: a local address to connect from, for a load generator that runs out of ports.
    ///   - makeHandler: called on the event loop when the WebSocket stands.
    package static func connect(
        to address: WebAddress, on loop: any EventLoop, security: LiveSecurity,
        from local: SocketAddress? = nil,
        makeHandler: @escaping @Sendable () -> any LiveHandler
    ) async throws -> LiveConnection {
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        if let local { bootstrap = bootstrap.bind(to: local) }
        let upgraded = try await bootstrap.connect(host: address.host, port: address.port) { channel in
            channel.eventLoop.makeCompletedFuture {
                if address.isSecure {
                    let handler = try NIOSSLClientHandler(
                        context: security.context, serverHostname: address.tlsName)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
                let timeout = channel.eventLoop.scheduleTask(in: connectTimeout) {
                    channel.close(promise: nil)
                }
                let upgraded = try upgrade(channel, to: address, makeHandler: makeHandler)
                upgraded.whenComplete { _ in timeout.cancel() }
                return upgraded
            }
        }
        return try await upgraded.get()
    }

    /// Sends frames in order; from any thread.
    package func send(_ frames: [ClientFrame]) {
        channel.eventLoop.execute { [outlet] in
            for frame in frames { outlet.value.send(frame) }
        }
    }

    package func close() {
        channel.eventLoop.execute { [outlet] in outlet.value.close() }
    }

    /// Stops or resumes taking frames from the network.
    package func setReading(_ isReading: Bool) {
        channel.setOption(.autoRead, value: isReading).whenFailure { _ in }
    }

    private static func upgrade(
        _ channel: any Channel, to address: WebAddress, makeHandler: @escaping @Sendable () -> any LiveHandler
    ) throws -> EventLoopFuture<LiveConnection> {
        let upgrader = NIOTypedWebSocketClientUpgrader<LiveConnection>(
            maxFrameSize: frameByteLimit,
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    let handlers = channel.pipeline.syncOperations
                    let outlet = LiveOutlet(handler: makeHandler())
                    try handlers.addHandler(outlet)
                    return LiveConnection(
                        channel: channel, outlet: NIOLoopBound(outlet, eventLoop: channel.eventLoop))
                }
            })
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/v1/live")
        head.headers.add(name: "Host", value: address.authority)
        var configuration = NIOUpgradableHTTPClientPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                upgradeRequestHead: head, upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(
                        LiveEnd.broken("the server did not accept the WebSocket"))
                }))
        configuration.leftOverBytesStrategy = .forwardBytes
        return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: configuration)
    }
}

extension WebAddress {
    /// The name for the TLS handshake; nil for an IP address, which is not sent.
    fileprivate var tlsName: String? {
        (try? SocketAddress(ipAddress: host, port: port)) == nil ? host : nil  // Failing means: it is a name.
    }
}
