package import Logging
package import NIOCore
import NIOPosix
package import Observability
import ServiceLifecycle
import SwiftProtobuf
import Synchronization
package import TransportSecurity

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The listening end of the service link.
package final class LinkServer: Service {
    let address: BindAddress
    let hello: LinkHello
    let service: any LinkService
    let limits: LinkLimits
    let logger: Logger
    let requests: Counter
    /// Mutual TLS; nil for plain text.
    let security: SecurityFiles?
    private let group: any EventLoopGroup
    private let connections: Gauge
    private let door: LinkDoor
    private let state = Mutex(State())

    private struct State {
        var phase = Phase.new
        var lastID: UInt64 = 0
        var open: [UInt64: (connection: LinkConnection, channel: any Channel)] = [:]
    }

    private enum Phase {
        case new
        case listening(any Channel)
        case stopped
    }

    /// Connections the system keeps for us before they are accepted.
    private static let backlog: Int32 = 256
    /// How often a stopping server looks whether its clients have gone.
    private static let drainPoll = Duration.milliseconds(10)

    /// - Parameter name: of this process, for the clients' logs.
    /// - Parameter software: its version.
    /// - Parameter security: the certificates of mutual TLS; nil for plain text.
    package init(
        address: BindAddress, name: String, software: String, service: any LinkService,
        limits: LinkLimits = .init(), security: SecurityFiles? = nil,
        group: any EventLoopGroup, metrics: MetricRegistry = MetricRegistry(), logger: Logger
    ) {
        self.address = address
        hello = LinkHello(name: name, software: software, versions: limits.versions)
        self.service = service
        self.limits = limits
        self.security = security
        self.group = group
        self.logger = logger
        requests = metrics.counter(.linkServerRequests)
        connections = metrics.gauge(.linkServerConnections)
        door = LinkDoor(limits)
    }

    /// The port in use; nil before `start` and after the end.
    package var boundPort: Int? {
        state.withLock { state in
            guard case .listening(let channel) = state.phase else { return nil }
            return channel.localAddress?.port
        }
    }

    /// Begins to listen and answers the port; does nothing when it listens already.
    ///
    /// - Throws: `LinkServerError` when the address is in use or cannot be bound.
    @discardableResult
    package func start() async throws -> Int {
        if let boundPort { return boundPort }
        let channel: any Channel
        do {
            channel = try await bootstrap().bind(host: address.host, port: address.port).get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw LinkServerError.addressInUse(address)
        } catch {
            throw LinkServerError.cannotBind(address, reason: "\(error)")
        }
        let begun = state.withLock { state in
            guard case .new = state.phase else { return false }
            state.phase = .listening(channel)
            return true
        }
        guard begun, let port = channel.localAddress?.port else {
            try await channel.close()
            throw LinkServerError.stopped
        }
        logger.info(
            "Service link listens", metadata: ["link.host": "\(address.host)", "link.port": "\(port)"])
        return port
    }

    /// Serves until graceful shutdown: then tells its clients to move, waits for what is in flight, and
    /// closes.
    package func run() async throws {
        try await start()
        do {
            try await gracefulShutdown()
            await stop()
        } catch {
            await closeAtOnce()
        }
    }

    /// Accepts nothing new, tells its clients to move, and closes when they have gone, when nothing was in
    /// flight for `drainQuiet`, or after `drainWithin`.
    package func stop() async {
        try? await stopListening()?.close()  // An error means that it was closed already.
        let draining = LinkFrame.with {
            $0.draining = LinkDraining.with {
                $0.withinMilliseconds = UInt32(limits.drainWithin.milliseconds)
            }
        }
        for connection in openConnections { connection.send(frame: draining) }
        let clock = ContinuousClock()
        let end = clock.now + limits.drainWithin
        var busyAt = clock.now
        while !openConnections.isEmpty, clock.now < end {
            // Looked at before the time is, for a look that comes late has seen nothing in between.
            if openConnections.contains(where: { $0.inFlight > 0 }) { busyAt = clock.now }
            if clock.now - busyAt >= limits.drainQuiet { break }
            do { try await Task.sleep(for: Self.drainPoll) } catch { break }
        }
        await closeAtOnce()
    }

    /// Closes everything without a word, as a crash would.
    package func closeAtOnce() async {
        let listening = stopListening()
        let channels = state.withLock { $0.open.values.map(\.channel) }
        for channel in channels + (listening.map { [$0] } ?? []) {
            channel.close(promise: nil)
            try? await channel.closeFuture.get()  // An error means that it was closed by one.
        }
    }

    // MARK: What the handlers call

    func makeConnection(_ peer: LinkPeer, channel: any Channel) -> LinkConnection {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        return LinkConnection(id: id, peer: peer, channel: channel, limits: limits, logger: logger)
    }

    /// False when the server is stopping and the connection must go.
    func opened(_ connection: LinkConnection, channel: any Channel) -> Bool {
        let isWelcome = state.withLock { state in
            guard case .listening = state.phase else { return false }
            state.open[connection.id] = (connection, channel)
            return true
        }
        guard isWelcome else { return false }
        door.greeted(channel)
        connections.add(1)
        logger.info("Link connection opened", metadata: ["link.peer": "\(connection.peer)"])
        return true
    }

    func closed(_ connection: LinkConnection) {
        let wasOpen = state.withLock { $0.open.removeValue(forKey: connection.id) != nil }
        guard wasOpen else { return }
        connections.add(-1)
        logger.info("Link connection closed", metadata: ["link.peer": "\(connection.peer)"])
        service.closed(connection)
    }

    private var openConnections: [LinkConnection] { state.withLock { $0.open.values.map(\.connection) } }

    private func stopListening() -> (any Channel)? {
        state.withLock { state in
            defer { state.phase = .stopped }
            guard case .listening(let channel) = state.phase else { return nil }
            return channel
        }
    }

    /// - Throws: when there is no room for another connection.
    private func enter(_ channel: any Channel) throws {
        let address = channel.remoteAddress?.ipAddress ?? "?"
        guard case .full(let reason, let isNews) = door.admit(channel, from: address) else { return }
        if isNews {
            logger.warning(
                "Link connection refused",
                metadata: ["link.peer": "\(address)", "link.reason": "\(reason) that there may be"])
        }
        throw LinkServerError.full
    }

    private func bootstrap() -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try enter(channel)
                    try security?.secureServer(channel)
                    try channel.pipeline.syncOperations.addHandler(LinkServerHandler(server: self))
                }
            }
    }
}

/// Why a server cannot listen.
package enum LinkServerError: Error, CustomStringConvertible {
    case addressInUse(BindAddress)
    case cannotBind(BindAddress, reason: String)
    case stopped
    /// So many connections are open that no more are taken.
    case full

    package var description: String {
        switch self {
        case .addressInUse(let address):
            "cannot listen on \(address): another process uses this port; stop it or choose another port"
        case .cannotBind(let address, let reason): "cannot listen on \(address): \(reason)"
        case .full: "as many connections as there may be are open already"
        case .stopped: "the server was stopped and cannot be started again"
        }
    }
}
