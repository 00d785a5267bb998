import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Closes a plain HTTP connection that does not get on: slow heads, slow bodies, idle keep-alive, unread answers.
///
/// It also sees to the fields that every answer carries, because every answer goes through it.
///
/// It exists from the moment a connection is accepted (watching for the first head), becomes a handler of the
/// connection's pipeline when the connection stays HTTP, and is gone when the connection becomes a live one.
final class ConnectionDeadlines: ChannelDuplexHandler, RemovableChannelHandler, DeadlineKeeper {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let channel: any Channel
    private let sweep: DeadlineSweep
    private let limits: WebServiceLimits
    /// Whether the connection is encrypted.
    let isSecure: Bool
    private var requestsInProgress = 0
    private var closesAfterAnswer = false
    /// Whether nothing was asked on this connection yet.
    private(set) var isWaitingForFirstHead = true
    private(set) var deadline: NIODeadline?

    init(channel: any Channel, sweep: DeadlineSweep, limits: WebServiceLimits, isSecure: Bool) {
        self.isSecure = isSecure
        self.channel = channel
        self.sweep = sweep
        self.limits = limits
        deadline = .now() + limits.headTimeout
        sweep.watch(self)
    }

    /// Ends the watch: the connection has become a live one or is gone.
    func end() {
        deadline = nil
        sweep.forget(self)
    }

    /// Leaves the client a moment to read a last answer, then closes.
    func linger() {
        deadline = .now() + limits.lingerTimeout
        sweep.watch(self)
    }

    func deadlinePassed() {
        end()
        channel.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            isWaitingForFirstHead = false
            requestsInProgress += 1
            deadline = .now() + limits.bodyTimeout
        case .body: break
        case .end: deadline = .now() + limits.answerTimeout
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if head.headerFields[.connection] == "close" { closesAfterAnswer = true }
            var head = head
            SecurityHeaders.add(to: &head.headerFields, isSecure: isSecure)
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            requestsInProgress -= 1
            if closesAfterAnswer {
                // What the client still sends is thrown away for a moment, so that it can read the answer.
                linger()
                context.writeAndFlush(data, promise: promise)
                context.close(mode: .output, promise: nil)
            } else {
                if requestsInProgress == 0 { deadline = .now() + limits.keepAliveTimeout }
                context.write(data, promise: promise)
            }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            if requestsInProgress == 0 { context.close(promise: nil) } else { closesAfterAnswer = true }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }
}
