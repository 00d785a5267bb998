import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket
import ServiceLink
import TransportSecurity

/// A new connection: plain HTTP, or a live client after an upgrade.
struct WebChannel: ServerChildChannel, HTTPChannelHandler {
    enum Outcome: Sendable {
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
        case live
    }

    struct Value: ServerChildChannelValue {
        let outcome: EventLoopFuture<Outcome>
        let channel: any Channel
    }

    let responder: HTTPChannelHandler.Responder
    let gate: LiveGate

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let loop = gate.hub.mailbox(of: channel.eventLoop).loop
            try gate.security?.secureServer(channel)
            let deadlines = ConnectionDeadlines(
                channel: channel, sweep: loop.sweep, limits: gate.hub.limits, isSecure: gate.security != nil)
            let faults = HTTPFaults(deadlines: deadlines, security: gate.security, logger: logger)
            let bound = NIOLoopBound((deadlines, faults), eventLoop: channel.eventLoop)
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Outcome>(
                upgraders: [LiveUpgrader(gate: gate, handlers: bound)]
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    .http(try stayHTTP(channel, deadlines: bound.value.0))
                }
            }
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            configuration.enablePipelining = false
            configuration.enableErrorHandling = false
            configuration.enableResponseHeaderValidation = false
            configuration.decoderConfiguration.maxHeaderListSize = gate.hub.limits.headBytes
            configuration.decoderConfiguration.maxHeaderFieldSize = gate.hub.limits.headBytes
            configuration.decoderConfiguration.maxHeaderFieldCount = gate.hub.limits.headFields
            let outcome = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: configuration)
            let upgradeHandler = try channel.pipeline.syncOperations.handler(
                type: NIOTypedHTTPServerUpgradeHandler<Outcome>.self)
            try channel.pipeline.syncOperations.addHandler(
                LiveGatekeeper(gate: gate, deadlines: deadlines), position: .before(upgradeHandler))
            try channel.pipeline.syncOperations.addHandler(faults)
            return Value(outcome: outcome, channel: channel)
        }
    }

    private func stayHTTP(
        _ channel: any Channel, deadlines: ConnectionDeadlines
    ) throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: deadlines.isSecure))
        try channel.pipeline.syncOperations.addHandler(deadlines)
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }

    /// Serves a plain connection to its end; a live one lives on its event loop without a task.
    func handle(value: Value, logger: Logger) async {
        // An error means that the connection went before it said what it wants: nothing to do for it.
        guard case .http(let connection)? = try? await value.outcome.get() else { return }
        await handleHTTP(asyncChannel: connection, logger: logger)
    }
}

/// Makes a WebSocket of a connection, with nothing but a `LiveSession` on it.
///
/// NIO's upgrader does the handshake. Its own frame handlers are not used: masks, lengths and reserved bits are
/// checked here, and frames that many clients get are encoded once.
private final class LiveUpgrader: NIOTypedHTTPServerProtocolUpgrader, Sendable {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []
    private let gate: LiveGate
    private let handlers: NIOLoopBound<(ConnectionDeadlines, HTTPFaults)>
    private let handshake: NIOTypedWebSocketServerUpgrader<WebChannel.Outcome>

    init(gate: LiveGate, handlers: NIOLoopBound<(ConnectionDeadlines, HTTPFaults)>) {
        self.gate = gate
        self.handlers = handlers
        handshake = NIOTypedWebSocketServerUpgrader(
            shouldUpgrade: { channel, head in
                let isWelcome = gate.refusal(of: head) == nil
                return channel.eventLoop.makeSucceededFuture(
                    isWelcome ? SecurityHeaders.http1(isSecure: gate.security != nil) : nil)
            },
            upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededFuture(.live) })
    }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        handshake.buildUpgradeResponse(
            channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
    }

    func upgrade(
        channel: any Channel, upgradeRequest: HTTPRequestHead
    ) -> EventLoopFuture<WebChannel.Outcome> {
        channel.eventLoop.makeCompletedFuture {
            let (deadlines, faults) = handlers.value
            deadlines.end()
            channel.pipeline.syncOperations.removeHandler(faults, promise: nil)
            try gate.configure(channel)
            let mailbox = gate.hub.mailbox(of: channel.eventLoop)
            try channel.pipeline.syncOperations.addHandler(
                LiveSession(hub: gate.hub, pool: gate.pool, mailbox: mailbox))
            return .live
        }
    }
}
