import Domain
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Answers what is no HTTP at all with 400, and watches a new connection until its first head has come.
final class HTTPFaults: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let deadlines: ConnectionDeadlines
    private var isAnswered = false

    init(deadlines: ConnectionDeadlines) { self.deadlines = deadlines }

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
        // An upgrade that was turned down goes on as a plain request, whose answer says why.
        if error is NIOWebSocketUpgradeError { return }
        guard error is HTTPParserError, !isAnswered else { return context.fireErrorCaught(error) }
        isAnswered = true
        let refusal = Refusal(.badRequest, "This is no valid HTTP/1.1 request, or its head is too large.")
        let body = ErrorBody(refusal).json
        var head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: SecurityHeaders.http1)
        head.headers.add(name: "Content-Type", value: "application/json; charset=utf-8")
        head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        head.headers.add(name: "Connection", value: "close")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(mode: .output, promise: nil)
        deadlines.linger()
    }
}
