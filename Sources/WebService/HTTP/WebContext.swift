import Hummingbird
import NIOCore

/// What a handler knows beside the request: mainly who is at the other end of the connection.
struct WebContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The address of the peer without its port; nil when the system does not know it.
    let peerAddress: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peerAddress = source.channel.remoteAddress?.ipAddress
    }
}
