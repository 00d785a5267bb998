import Domain
import Failpoints
import Logging
import NIOCore
import Observability
import SwiftProtobuf
import TransportSecurity

/// The server's end of one connection: hello first, then requests in batches of one read each.
final class LinkServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let server: LinkServer
    private let limits: LinkLimits
    private var decoder: FrameDecoder
    /// Set by the client's hello.
    private var connection: LinkConnection?
    private var batch: [LinkRequest] = []
    private var heardAt = NIODeadline.now()
    private var silenceCheck: RepeatedTask?

    init(server: LinkServer) {
        self.server = server
        limits = server.limits
        decoder = FrameDecoder(limitBytes: min(limits.helloBytes, limits.frameBytes))
    }

    func channelActive(context: ChannelHandlerContext) {
        heardAt = .now()
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        silenceCheck = context.eventLoop.scheduleRepeatedTask(
            initialDelay: TimeAmount(limits.helloWithin), delay: .seconds(1)
        ) { _ in
            bound.value.handler.checkSilence(context: bound.value.context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heardAt = .now()
        decoder.append(unwrapInboundIn(data))
        do throws(FrameError) {
            while let kind = try decoder.next() { try take(kind, context: context) }
        } catch {
            refuse(error, context: context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let connection, !batch.isEmpty else { return }
        let requests = batch
        batch.removeAll(keepingCapacity: true)
        connection.received(requests.count { $0.id != 0 })
        server.requests.add(requests.count)
        connection.outbox.hold()
        server.service.received(requests, from: connection)
        connection.outbox.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        silenceCheck?.cancel()
        silenceCheck = nil
        guard let connection else { return }
        self.connection = nil
        server.closed(connection)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let reason = server.security?.explain(error, on: context.channel) {
            server.logger.warning("Link connection refused", metadata: metadata(context, reason: reason))
        } else {
            server.logger.info("Link connection failed", metadata: metadata(context, reason: "\(error)"))
        }
        context.close(promise: nil)
    }

    private func take(_ kind: LinkFrame.OneOf_Kind, context: ChannelHandlerContext) throws(FrameError) {
        switch (kind, connection) {
        case (.request(let request), .some(let connection)):
            if request.body == nil {
                refuse(request, Self.unsupported, connection)
            } else if let fault = request.fault {
                refuse(request, Refusal(fault), connection)
            } else {
                batch.append(request)
            }
        case (.ping(let ping), .some(let connection)):
            connection.send(frame: LinkFrame.with { $0.pong = ping })
            #if FAILPOINTS
                if NextVersion.isRunning { connection.outbox.append(NextLink.frame) }
            #endif
        case (.pong, .some): break
        case (.hello(let hello), nil): try greet(hello, context: context)
        case (.hello, .some): throw .helloTwice
        case (_, nil): throw .helloExpected
        case (.response, _): throw .unexpected("response")
        case (.delivery, _): throw .unexpected("delivery")
        case (.sessionEnded, _): throw .unexpected("session_ended")
        case (.draining, _): throw .unexpected("draining")
        case (.followed, _): throw .unexpected("followed")
        }
    }

    private func greet(_ hello: LinkHello, context: ChannelHandlerContext) throws(FrameError) {
        let peer = LinkPeer(
            name: String(hello.name.prefix(128)), address: context.remoteAddress,
            certificate: SecurityFiles.peerCertificate(context.channel))
        let connection = server.makeConnection(peer, channel: context.channel)
        connection.send(frame: LinkFrame.with { $0.hello = server.hello })
        let versions = LinkVersions(hello)
        guard limits.versions.agreed(with: versions) != nil else {
            connection.outbox.flush()
            throw .otherVersions(versions)
        }
        guard server.opened(connection, channel: context.channel) else { throw .stopping }
        self.connection = connection
        decoder.limitBytes = limits.frameBytes
    }

    /// Answers a request that goes no further.
    private func refuse(_ request: LinkRequest, _ refusal: Refusal, _ connection: LinkConnection) {
        guard request.id != 0 else { return }
        connection.received(1)
        connection.send(LinkResponse(id: request.id, refusal))
    }

    /// For a request of a newer version: its caller asks a server that knows it, or does without.
    private static let unsupported = Refusal(
        .unsupported, "This server does not know the request: it is older than who asks.")

    /// Ends a connection that does not keep to the protocol; what came before in the same read is dropped
    /// with it.
    private func refuse(_ error: FrameError, context: ChannelHandlerContext) {
        server.logger.warning("Link connection closed by us", metadata: metadata(context, reason: "\(error)"))
        batch.removeAll()
        context.close(promise: nil)
    }

    private func checkSilence(context: ChannelHandlerContext) {
        // The first look is the deadline of the hello: no byte puts it off.
        let isGreeted = connection != nil
        guard !isGreeted || NIODeadline.now() - heardAt >= TimeAmount(limits.silence) else { return }
        let reason = isGreeted ? "nothing was heard for \(limits.silence)" : "no hello came in time"
        server.logger.warning("Link connection closed by us", metadata: metadata(context, reason: reason))
        context.close(promise: nil)
    }

    private func metadata(_ context: ChannelHandlerContext, reason: String) -> Logger.Metadata {
        let peer = connection?.peer.description ?? context.remoteAddress.map { "\($0)" } ?? "?"
        return ["link.peer": "\(peer)", "link.reason": "\(reason)"]
    }
}
