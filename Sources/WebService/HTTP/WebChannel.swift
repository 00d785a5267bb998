import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import ServiceLink
import TransportSecurity

/// A new connection: plain HTTP, or a live client after an upgrade.
struct WebChannel: ServerChildChannel, HTTPChannelHandler {
    struct Value: ServerChildChannelValue {
        /// The connection once it has asked for something by HTTP; nil when it never did.
        let outcome: EventLoopFuture<WebPipeline.HTTPConnection?>
        let channel: any Channel
    }

    let responder: HTTPChannelHandler.Responder
    let gate: LiveGate

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let peer = channel.remoteAddress?.ipAddress
            let share = ConnectionShare(budget: gate.budget, client: gate.client(peer: peer, forwarded: []))
            guard share.enter() else {
                channel.close(promise: nil)
                return Value(outcome: channel.eventLoop.makeSucceededFuture(nil), channel: channel)
            }
            let bound = NIOLoopBound(share, eventLoop: channel.eventLoop)
            channel.closeFuture.whenComplete { _ in bound.value.end() }
            let loop = gate.hub.mailbox(of: channel.eventLoop).loop
            try gate.security?.secureServer(channel)
            let deadlines = ConnectionDeadlines(
                channel: channel, sweep: loop.sweep, limits: gate.hub.limits, isSecure: gate.security != nil)
            let faults = HTTPFaults(deadlines: deadlines, security: gate.security, logger: logger)
            let pipeline = WebPipeline(eventLoop: channel.eventLoop, limits: gate.hub.limits, faults: faults)
            try pipeline.begin(
                on: channel,
                edge: HTTPEdge(
                    gate: gate, deadlines: deadlines, share: share, pipeline: pipeline, peer: peer))
            return Value(outcome: pipeline.served.futureResult, channel: channel)
        }
    }

    /// Serves what a connection asks by HTTP. One that became live at its first request lives on its event loop without
    /// a task; one that was upgraded later keeps its task, asleep, until it closes.
    func handle(value: Value, logger: Logger) async {
        // An error means that the connection went before it said what it wants: nothing to do for it.
        guard let connection = try? await value.outcome.get() else { return }
        await handleHTTP(asyncChannel: connection, logger: logger)
    }
}

/// The handlers of one connection: what reads and writes HTTP, until a live session takes their place.
final class WebPipeline {
    typealias HTTPConnection = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let arriving = ArrivingBytes()
    /// Kept with the first plain request, or with nil when there is none.
    let served: EventLoopPromise<HTTPConnection?>
    private let encoder = HTTPResponseEncoder()
    private let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    private let faults: HTTPFaults
    private var plain: (codec: HTTP1ToHTTPServerCodec, deadlines: ConnectionDeadlines)?

    init(eventLoop: any EventLoop, limits: WebServiceLimits, faults: HTTPFaults) {
        served = eventLoop.makePromise()
        self.faults = faults
        var decoding = NIOHTTPDecoderLimitConfiguration()
        decoding.maxHeaderListSize = limits.headBytes
        decoding.maxHeaderFieldSize = limits.headBytes
        decoding.maxHeaderFieldCount = limits.headFields
        decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoding))
    }

    func begin(on channel: any Channel, edge: HTTPEdge) throws {
        let handlers = channel.pipeline.syncOperations
        try handlers.addHandler(arriving)
        try handlers.addHandler(encoder)
        try handlers.addHandler(decoder)
        try handlers.addHandler(faults)
        try handlers.addHandler(edge)
    }

    /// Adds what answers plain requests; again does nothing.
    func serveHTTP(on channel: any Channel, deadlines: ConnectionDeadlines) throws {
        guard plain == nil else { return }
        let codec = HTTP1ToHTTPServerCodec(secure: deadlines.isSecure)
        plain = (codec, deadlines)
        try channel.pipeline.syncOperations.addHandler(codec)
        try channel.pipeline.syncOperations.addHandler(deadlines)
        served.succeed(
            try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)))
    }

    /// Puts a live session in the place of everything that speaks HTTP, once the handshake is written.
    ///
    /// Where the connection has served requests, the end of what served them stays behind the session, which passes nothing on
    /// to it but the connection's end. The decoder goes last: it gives the session what came behind the upgrade.
    func becomeLive(on channel: any Channel, edge: HTTPEdge, session: LiveSession) throws {
        let handlers = channel.pipeline.syncOperations
        try handlers.addHandler(session, position: .after(edge))
        if let plain {
            handlers.removeHandler(plain.deadlines, promise: nil)
            handlers.removeHandler(plain.codec, promise: nil)
        }
        handlers.removeHandler(edge, promise: nil)
        handlers.removeHandler(faults, promise: nil)
        handlers.removeHandler(encoder, promise: nil)
        handlers.removeHandler(arriving, promise: nil)
        let gone = channel.eventLoop.makePromise(of: Void.self)
        handlers.removeHandler(decoder, promise: gone)
        // What the session answers to what came behind the upgrade is written then, as at the end of any read.
        gone.futureResult.assumeIsolated().whenComplete { _ in session.loop.flush() }
    }
}

/// Counts the bytes that have come and that the decoder has made nothing of yet: an unfinished head.
final class ArrivingBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Set to zero by whom the decoder gives something.
    var gathered = 0
    var whenUnfinished: (() -> Void)?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        gathered += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
        if gathered > 0 { whenUnfinished?() }
    }
}
