import Domain
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOWebSocket

/// The first to look at every request of a connection: whether it is valid, how large it may be, and whether it makes
/// the connection a live one.
///
/// It does the WebSocket's handshake itself, because NIO's upgrade handlers look at a connection's first request only, and
/// proxies send an upgrade on whatever connection they have (RFC 9110, section 7.8). The decoder stops at an upgrade; what
/// comes behind it goes to the live session. Offers of other protocols, such as h2c, are ignored as RFC 9110 allows;
/// the connection closes after the answer, because the decoder has stopped all the same.
final class HTTPEdge: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What comes when everything asked before is answered; nothing more is taken from the connection until then.
    private enum Turn {
        case live(HTTPRequestHead)
        case refused(Refusal, HTTPResponseStatus)
        /// The connection ends with an answer that is under way.
        case nothing
    }

    private let gate: LiveGate
    private let deadlines: ConnectionDeadlines
    private let share: ConnectionShare
    private let pipeline: WebPipeline
    private let peer: String?

    private var turn: Turn?
    /// For each request without its whole answer: the bytes of its body so far.
    private var bodies: [Int] = []
    /// How large the body of the request that is coming in may be.
    private var bodyLimit = 0
    /// Whether a request's end is still to come.
    private var isReceiving = false
    /// Whether the request that is coming in was handed on, and is among those without an answer.
    private var isHandedOn = false
    /// Whether `turn` is about a request that was handed on.
    private var turnIsHandedOn = false
    private var isAnswering = false
    /// Whether the connection ends with the answer to the newest request.
    private var isLast = false
    /// Whether the newest request waits for `100 Continue`.
    private var owesContinue = false
    private var isOver = false
    private var isReadWithheld = false

    init(
        gate: LiveGate, deadlines: ConnectionDeadlines, share: ConnectionShare, pipeline: WebPipeline,
        peer: String?
    ) {
        self.gate = gate
        self.deadlines = deadlines
        self.share = share
        self.pipeline = pipeline
        self.peer = peer
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pipeline.arriving.gathered = 0
        switch unwrapInboundIn(data) {
        case .head(let head) where turn == nil && !isOver:
            isReceiving = true
            if isLast { turn = .nothing } else { take(head, context) }
        case .body(let bytes) where turn == nil && !isOver:
            owesContinue = false
            takeBody(bytes.readableBytes, context)
            if turn == nil, !isOver { context.fireChannelRead(data) }
        case .end:
            isReceiving = false
            isHandedOn = false
            if turn == nil, !isOver { context.fireChannelRead(data) } else { goOn(context) }
        default: break
        }
    }

    private func take(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var head = head
        do throws(Misfit) {
            try head.check()
            share.speaks(for: gate.client(of: head, peer: peer))
            bodyLimit = try head.bodyLimit(gate.hub.limits)
        } catch {
            return end(with: .refused(error.refusal, error.status), context)
        }
        if head.asksForWebSocket { return end(with: .live(head), context) }
        isLast =
            head.endsConnection || head.method == .CONNECT
            || head.headers.contains(name: "Upgrade") && head.hasConnectionOption("upgrade")
        // What answers the request knows only this form.
        if isLast { head.headers.replaceOrAdd(name: "Connection", value: "close") }
        head.headers.remove(name: "Upgrade")
        do {
            try pipeline.serveHTTP(on: context.channel, deadlines: deadlines)
        } catch {
            return context.close(promise: nil)
        }
        if head.expectsContinue {
            if bodies.isEmpty { sendContinue(context) } else { owesContinue = true }
        }
        bodies.append(0)
        isHandedOn = true
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    private func takeBody(_ bytes: Int, _ context: ChannelHandlerContext) {
        guard !bodies.isEmpty else { return }
        bodies[bodies.count - 1] += bytes
        if bodies[bodies.count - 1] > bodyLimit {
            end(with: .refused(.bodyTooLarge(bodyLimit), .payloadTooLarge), context)
        } else {
            hold(context)
        }
    }

    /// Counts what this connection keeps in memory, and turns it away where that is too much.
    private func hold(_ context: ChannelHandlerContext) {
        guard !isOver, let refusal = share.hold(bodies.reduce(pipeline.arriving.gathered, +)) else { return }
        end(with: .refused(refusal, HTTPResponseStatus(statusCode: refusal.code.httpStatus)), context)
    }

    private func sendContinue(_ context: ChannelHandlerContext) {
        owesContinue = false
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isOver else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        isAnswering = true
        if case .head(let head) = unwrapOutboundIn(data), head.headers["Connection"].contains("close") {
            turn = .nothing
        }
        context.write(data, promise: promise)
        guard case .end = unwrapOutboundIn(data) else { return }
        isAnswering = false
        if !bodies.isEmpty { bodies.removeFirst() }
        hold(context)
        if owesContinue, bodies.count == 1 { sendContinue(context) }
        goOn(context)
    }

    // MARK: The last request

    private func end(with turn: Turn, _ context: ChannelHandlerContext) {
        guard self.turn == nil, !isOver else { return }
        self.turn = turn
        turnIsHandedOn = isHandedOn
        goOn(context)
    }

    /// Does what the last request is for, as soon as all before it have their answers.
    private func goOn(_ context: ChannelHandlerContext) {
        guard !isOver, let turn else { return }
        switch turn {
        case .live(let head):
            guard bodies.isEmpty, !isReceiving else { return }
            if let refusal = gate.refusal(of: head, peer: peer) {
                refuse(refusal, HTTPResponseStatus(statusCode: refusal.code.httpStatus), context)
            } else {
                upgrade(head, context)
            }
        case .refused(let refusal, let status):
            guard !isAnswering else { return }
            if turnIsHandedOn, bodies.isEmpty {
                // It was answered before it turned out to be too large.
                isOver = true
                context.close(mode: .output, promise: nil)
                deadlines.linger()
            } else if bodies.count == (turnIsHandedOn ? 1 : 0) {
                refuse(refusal, status, context)
            }
        case .nothing: break
        }
    }

    private func refuse(_ refusal: Refusal, _ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
        deadlines.refuse(refusal, status: status, context: context)
        isOver = true
        bodies = []
        _ = share.hold(0)
        gate.hub.metrics.refused(refusal.code)
        gate.hub.metrics.answered(status: Int(status.code))
    }

    private func upgrade(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        isOver = true
        let isSecure = deadlines.isSecure
        let handshake = NIOTypedWebSocketServerUpgrader<Void>(
            shouldUpgrade: { channel, _ in
                channel.eventLoop.makeSucceededFuture(SecurityHeaders.http1(isSecure: isSecure))
            },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
        handshake.buildUpgradeResponse(
            channel: context.channel, upgradeRequest: head, initialResponseHeaders: HTTPHeaders()
        ).assumeIsolated().whenComplete { result in
            do {
                let fields = try result.get()
                try self.gate.configure(context.channel)
                let head = HTTPResponseHead(
                    version: .http1_1, status: .switchingProtocols, headers: fields)
                context.writeAndFlush(self.wrapOutboundOut(.head(head)), promise: nil)
                self.deadlines.end()
                try self.pipeline.becomeLive(
                    on: context.channel, edge: self,
                    session: self.gate.session(on: context.channel, self.share))
            } catch {
                context.close(promise: nil)
            }
        }
    }

    // MARK: The connection

    func read(context: ChannelHandlerContext) {
        // Nothing is taken of what comes behind an upgrade until it is done.
        if case .live = turn, !isReceiving { isReadWithheld = true } else { context.read() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        pipeline.arriving.whenUnfinished = { [unowned self] in hold(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        pipeline.arriving.whenUnfinished = nil
        pipeline.served.succeed(nil)
        if isReadWithheld { context.channel.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed, case .live = turn {
            context.close(promise: nil)
        }
        // What has begun is answered, and nothing after it is begun.
        if event is ChannelShouldQuiesceEvent, !bodies.isEmpty { isLast = true }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is HTTPParserError where isReceiving && bodies.isEmpty && turn == nil:
            // What is wrong belongs to a request that has its answer.
            context.close(promise: nil)
        case is HTTPParserError:
            let refusal = Refusal(.badRequest, "This is no valid HTTP/1.1 request, or its head is too large.")
            end(with: .refused(refusal, .badRequest), context)
        case is ByteToMessageDecoderError:
            // The client has gone in the middle of something: nobody's fault here.
            context.close(promise: nil)
        default: context.fireErrorCaught(error)
        }
    }
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
