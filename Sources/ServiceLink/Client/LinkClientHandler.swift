import Logging
import NIOCore
import TransportSecurity

/// The pool's end of one connection: decodes frames and hands them to the core, on whose event loop it is.
final class LinkClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let core: PoolCore
    private var decoder: FrameDecoder
    /// Set before anything is sent, and so before anything comes.
    var connection: ServerConnection?

    static let endedBeforeHello = """
        it closed the connection before its first word: its log says why. Perhaps only one of the two has been given \
        --link-certificate, --link-key and --link-ca
        """

    init(core: PoolCore) {
        self.core = core
        decoder = FrameDecoder(limitBytes: min(core.limits.helloBytes, core.limits.frameBytes))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let connection, !connection.isLost else { return context.close(promise: nil) }
        core.now = .now()
        connection.heardAt = core.now
        decoder.append(unwrapInboundIn(data))
        connection.outbox.hold()
        do throws(FrameError) {
            while !connection.isLost, let kind = try decoder.next() {
                if !connection.isGreeted, !kind.isHello { throw FrameError.helloExpected }
                if case .request = kind { throw FrameError.unexpected("request") }
                if let fault = kind.pushedFault { throw FrameError.outOfRange("\(fault)") }
                core.received(kind, on: connection)
                if connection.isGreeted { decoder.limitBytes = core.limits.frameBytes }
            }
        } catch {
            if connection.isGreeted {
                core.logger.warning(
                    "Link connection closed by us",
                    metadata: ["link.server": "\(connection.server.address)", "link.reason": "\(error)"])
            } else {
                core.failed(connection.server, "\(error)")
            }
            core.leave(connection, because: .lost)
        }
        connection.outbox.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let connection else { return }
        self.connection = nil
        core.now = .now()
        // One that was left has its reason in the log already.
        if !connection.isGreeted, !connection.isLost {
            core.failed(connection.server, Self.endedBeforeHello)
        }
        core.leave(connection, because: .lost)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let connection, !connection.isLost,
            let reason = core.security?.explain(
                error, on: context.channel, to: connection.server.address.host)
        {
            core.now = .now()
            core.failed(connection.server, reason)
            core.leave(connection, because: .lost)
        } else {
            core.logger.info("Link connection failed", metadata: ["link.reason": "\(error)"])
        }
        context.close(promise: nil)
    }
}

extension LinkFrame.OneOf_Kind {
    fileprivate var isHello: Bool { if case .hello = self { true } else { false } }
}
