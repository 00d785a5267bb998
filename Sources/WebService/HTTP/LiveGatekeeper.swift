import Domain
import NIOCore
import NIOHTTP1
import ServiceLink

/// Turns upgrades down before NIO's upgrade handler sees them, and says why.
///
/// A refused upgrade must not go on as a plain request: the decoder stops at it, and NIO's upgrade handler (2.101) loses
/// its head. Offers of other protocols, such as h2c, are ignored as RFC 9110 section 7.8 allows; the connection closes
/// after the answer, because the decoder has stopped all the same. Nor can a connection become a live one
/// after it has served requests; such an upgrade is answered 421 (RFC 9110, section 15.5.20), which asks a proxy or
/// client to repeat it on a connection of its own.
final class LiveGatekeeper: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let gate: LiveGate
    private let deadlines: ConnectionDeadlines
    /// Requests whose answer has not been written to its end.
    private var unanswered = 0
    private var hasServed = false
    private var refused: (refusal: Refusal, status: HTTPResponseStatus)?

    init(gate: LiveGate, deadlines: ConnectionDeadlines) {
        self.gate = gate
        self.deadlines = deadlines
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard refused == nil else { return }
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        let offers = head.headers[canonicalForm: "upgrade"]
        let isUpgrade = offers.contains { $0.lowercased() == "websocket" }
        if isUpgrade, hasServed {
            refused = (Self.usedConnection, .misdirectedRequest)
        } else if isUpgrade, let refusal = gate.refusal(of: head) {
            refused = (refusal, HTTPResponseStatus(statusCode: refusal.code.httpStatus))
        } else {
            hasServed = true
            unanswered += 1
            if !offers.isEmpty, !isUpgrade {
                head.headers.remove(name: "Upgrade")
                head.headers.replaceOrAdd(name: "Connection", value: "close")
            }
            context.fireChannelRead(wrapInboundOut(.head(head)))
            if isUpgrade { context.pipeline.syncOperations.removeHandler(self, promise: nil) }
            return
        }
        if unanswered == 0 { refuse(context) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        unanswered -= 1
        context.write(data, promise: promise)
        if unanswered == 0, refused != nil { refuse(context) }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        guard let (refusal, status) = refused else { return }
        deadlines.refuse(refusal, status: status, context: context)
    }

    private static let usedConnection = Refusal(
        .badRequest, "Open a connection of its own for the WebSocket: this one has served other requests.")
}

extension ConnectionDeadlines {
    /// Answers with a refusal as the connection's last words.
    func refuse(_ refusal: Refusal, status: HTTPResponseStatus, context: ChannelHandlerContext) {
        let body = ErrorBody(refusal).json
        var head = HTTPResponseHead(
            version: .http1_1, status: status, headers: SecurityHeaders.http1(isSecure: isSecure))
        head.headers.add(name: "Content-Type", value: "application/json; charset=utf-8")
        head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        head.headers.add(name: "Connection", value: "close")
        if let wait = refusal.retryAfterMilliseconds {
            head.headers.add(name: "Retry-After", value: "\((wait + 999) / 1_000)")
        }
        context.write(NIOAny(HTTPServerResponsePart.head(head)), promise: nil)
        context.write(NIOAny(HTTPServerResponsePart.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(NIOAny(HTTPServerResponsePart.end(nil)), promise: nil)
        context.close(mode: .output, promise: nil)
        linger()
    }
}
