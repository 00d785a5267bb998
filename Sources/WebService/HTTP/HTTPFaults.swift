import Logging
import NIOCore
import NIOHTTP1
import TransportSecurity

/// Notes failed TLS handshakes, and watches a new connection until its first head has come.
final class HTTPFaults: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private let deadlines: ConnectionDeadlines
    private let security: SecurityFiles?
    private let logger: Logger

    init(deadlines: ConnectionDeadlines, security: SecurityFiles?, logger: Logger) {
        self.deadlines = deadlines
        self.security = security
        self.logger = logger
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadlines.end()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, deadlines.isWaitingForFirstHead {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let reason = security?.explain(error, on: context.channel) {
            // Anybody can cause it from outside, so it is no warning.
            logger.info(
                "A TLS handshake failed",
                metadata: [
                    "web.peer": "\(context.remoteAddress?.ipAddress ?? "?")", "web.reason": "\(reason)",
                ])
        }
        context.fireErrorCaught(error)
    }
}
