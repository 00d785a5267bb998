import Domain
import NIOCore
import NIOHTTP1

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
        guard error is HTTPParserError, !isAnswered else { return context.fireErrorCaught(error) }
        isAnswered = true
        let refusal = Refusal(.badRequest, "This is no valid HTTP/1.1 request, or its head is too large.")
        deadlines.refuse(refusal, status: .badRequest, context: context)
    }
}
