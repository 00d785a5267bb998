import NIOCore
import NIOTLS

/// Ends a connection of the service link whose other end has a certificate for something else.
///
/// The TLS library looks at the authority, the time and the key usages. That the certificate of a site, or of a database,
/// is no ASM Service's is a rule of ours.
final class PeerRoleCheck: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    struct OtherRole: Error {
        let wanted: Set<CertificateRole>
    }

    private let wanted: Set<CertificateRole>
    private var isRefused = false

    init(_ wanted: Set<CertificateRole>) { self.wanted = wanted }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted? = event as? TLSUserEvent,
            SecurityFiles.peerDetails(context.channel)?.0.roles.isDisjoint(with: wanted) != false
        else { return context.fireUserInboundEventTriggered(event) }
        isRefused = true
        context.fireErrorCaught(OtherRole(wanted: wanted))
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What came with the end of the handshake is not for anybody.
        if !isRefused { context.fireChannelRead(data) }
    }
}
