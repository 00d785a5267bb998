package import Domain
package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle

/// The calling end of the service link: connections to all servers of a list, with failover between them.
package final class LinkPool: Service {
    package init(
        servers: ServerList, name: String, software: String, limits: LinkLimits = .init(), events: any LinkPoolEvents,
        group: any EventLoopGroup, metrics: MetricRegistry = MetricRegistry(), logger: Logger
    ) {}

    /// Begins to connect; does nothing when it did already. Requests and sessions may come before it: they wait.
    package func start() {}

    /// Keeps the connections until graceful shutdown, then closes them.
    package func run() async throws {}

    /// Whether at least one server is healthy.
    package var isServing: Bool { false }

    /// Every server of the list with its state, for status pages.
    package var servers: [ServerHealth] { [] }

    /// Asks some healthy server, and the next when the outcome is unknown.
    ///
    /// - Parameter token: who asks; nil for logging in and for status.
    /// - Parameter deadline: over all servers; 10 s unless given.
    /// - Throws: the server's refusal, or `unavailable` when no server answered in time.
    package func request(
        _ body: LinkRequest.OneOf_Body, token: [UInt8]?, deadline: Duration? = nil
    ) async throws(Refusal) -> LinkResponse.OneOf_Body {
        throw Refusal(.unavailable, "No server can be reached.", retryAfterMilliseconds: 1_000)
    }

    /// Opens a live session: it is attached as soon as some server can be reached.
    ///
    /// - Parameter cursor: how far the client has followed its log; nil to start from the log's head.
    package func open(token: [UInt8], cursor: LogCursor?, sink: any LinkSessionSink) -> LinkSession {
        LinkSession(id: 0)
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
