package import Domain
package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle
import SwiftProtobuf
package import TransportSecurity

/// The calling end of the service link: connections to all servers of a list, with failover between them.
package final class LinkPool: Service {
    private let core: PoolCore

    /// - Parameter name: of this process, for the servers' logs.
    /// - Parameter software: its version.
    /// - Parameter security: the certificates of mutual TLS; nil for plain text.
    /// - Parameter group: one of its event loops does all the work of the pool.
    package init(
        servers: ServerList, name: String, software: String, limits: LinkLimits = .init(),
        security: SecurityFiles? = nil, events: any LinkPoolEvents,
        group: any EventLoopGroup, metrics: MetricRegistry = MetricRegistry(), logger: Logger
    ) {
        let hello = LinkHello(name: name, software: software, versions: limits.versions)
        core = PoolCore(
            servers: servers, hello: hello, limits: limits, security: security, events: events,
            loop: group.next(), metrics: metrics, logger: logger)
    }

    /// Begins to connect; does nothing when it did already. Requests and sessions may come before it: they
    /// wait.
    package func start() { core.start() }

    /// Refuses everything from now on and closes all connections.
    package func stop() async { await core.stop() }

    /// Keeps the connections until graceful shutdown, then closes them.
    package func run() async throws {
        start()
        try? await gracefulShutdown()  // The only error is cancellation, which means the same.
        await stop()
    }

    /// Whether at least one server is healthy.
    package var isServing: Bool { core.isServing }

    /// Every server of the list with its state, for status pages.
    package var servers: [ServerHealth] { core.health }

    /// Asks some healthy server, and the next when the outcome is unknown.
    ///
    /// - Parameter token: who asks; nil for logging in and for status.
    /// - Parameter deadline: over all servers; 10 s unless given.
    /// - Throws: the server's refusal, or `unavailable` when no server answered in time.
    package func request(
        _ body: LinkRequest.OneOf_Body, token: [UInt8]?, deadline: Duration? = nil
    ) async throws(Refusal) -> LinkResponse.OneOf_Body {
        let result: Result<LinkResponse.OneOf_Body, Refusal> = await withCheckedContinuation { waiting in
            request(body, token: token, deadline: deadline) { waiting.resume(returning: $0) }
        }
        return try result.get()
    }

    /// The same with a closure, called exactly once on the pool's event loop.
    package func request(
        _ body: LinkRequest.OneOf_Body, token: [UInt8]?, deadline: Duration? = nil,
        reply: @escaping @Sendable (Result<LinkResponse.OneOf_Body, Refusal>) -> Void
    ) {
        core.call(.request(body: body, token: token, deadline: deadline, reply: reply))
    }

    /// Opens a live session: it is attached as soon as some server can be reached.
    ///
    /// - Parameter cursor: how far the client has followed its log; nil to start from the log's head.
    /// - Parameter sink: held until the session is closed or ended.
    package func open(token: [UInt8], cursor: LogCursor?, sink: any LinkSessionSink) -> LinkSession {
        let session = LinkSession(id: core.newSessionID(), core: core)
        core.call(.open(session: session.id, token: token, cursor: cursor, sink: sink))
        return session
    }
}

/// One server of the list, as this process sees it.
package struct ServerHealth: Sendable, Hashable {
    package enum State: String, Sendable, Hashable {
        /// No connection, and none could be made.
        case unreachable
        case connecting
        case healthy
        /// Connected, but it answered `unavailable` or did not answer in time.
        case refusing
        /// It said that it is going.
        case draining
    }

    package let address: BindAddress
    package let state: State
    /// How long it has been in this state.
    package let inStateFor: Duration
    package let sessions: Int
}
