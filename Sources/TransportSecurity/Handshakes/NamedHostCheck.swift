import NIOCore
import NIOTLS

/// Ends a connection to a named server whose certificate is not for that name.
///
/// NIOSSL is content with one that is for the address to which the name led. But whoever decides what a name means could
/// then let any server of the cluster pass for any other.
final class NamedHostCheck: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    struct OtherHost: Error {}

    private let host: String

    init(_ host: String) { self.host = host }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent,
            SecurityFiles.peerDetails(context.channel)?.0.isFor(host) != true
        {
            context.fireErrorCaught(OtherHost())
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
