package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A small HTTP listener for components without a web of their own: `/healthz`, `/readyz`, `/metrics`.
///
/// One request per connection, nothing read from a body, nothing secret in any answer. It is to be started before and
/// stopped after what it reports on, so that `/readyz` can say that this is going.
package final class HealthServer: Service {
    private let host: String
    private let port: Int
    private let answers: HealthAnswers
    /// Puts TLS in front of a connection, or does nothing.
    private let secure: @Sendable (any Channel) throws -> Void
    private let group: any EventLoopGroup
    private let logger: Logger
    private let whenListening: @Sendable (Int) -> Void
    private let bound = Mutex<Int?>(nil)

    /// Connections the system keeps for us before they are accepted.
    private static let backlog: Int32 = 128

    /// - Parameters:
    ///   - pages: further texts to serve, by their paths.
    ///   - whenListening: called once with the port.
    package init(
        host: String, port: Int, checks: HealthChecks, pages: [String: String] = [:],
        secure: @escaping @Sendable (any Channel) throws -> Void = { _ in }, group: any EventLoopGroup,
        logger: Logger, whenListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.secure = secure
        self.host = host
        self.port = port
        answers = HealthAnswers(checks: checks, pages: pages)
        self.group = group
        self.logger = logger
        self.whenListening = whenListening
    }

    /// The port in use; nil before it listens.
    package var boundPort: Int? { bound.withLock { $0 } }

    /// Answers until graceful shutdown or cancellation.
    ///
    /// - Throws: `HealthServerError` when the address is in use or cannot be bound.
    package func run() async throws {
        let channel: any Channel
        do {
            channel = try await bootstrap().bind(host: host, port: port).get()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw HealthServerError.addressInUse(host: host, port: port)
        } catch {
            throw HealthServerError.cannotBind(host: host, port: port, reason: "\(error)")
        }
        let bound = channel.localAddress?.port ?? port
        self.bound.withLock { $0 = bound }
        logger.info("Health checks are answered", metadata: ["address": "\(host):\(bound)"])
        whenListening(bound)
        try? await gracefulShutdown()  // The only error is cancellation, which means the same.
        try? await channel.close()  // An error means that it was closed already.
    }

    private func bootstrap() -> ServerBootstrap {
        let connections = HealthConnections()
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [answers, secure] channel in
                channel.eventLoop.makeCompletedFuture {
                    try secure(channel)
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: false, withErrorHandling: true)
                    try pipeline.addHandler(HealthHandler(answers: answers, connections: connections))
                }
            }
    }
}

/// Why the health checks cannot be answered.
package enum HealthServerError: Error, CustomStringConvertible {
    case addressInUse(host: String, port: Int)
    case cannotBind(host: String, port: Int, reason: String)

    package var description: String {
        switch self {
        case .addressInUse(let host, let port):
            "cannot listen on \(host):\(port): another process uses this port; stop it or choose another port"
        case .cannotBind(let host, let port, let reason): "cannot listen on \(host):\(port): \(reason)"
        }
    }
}

/// One connection: answers the first request and closes.
private final class HealthHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: HealthAnswers
    private let connections: HealthConnections
    private var request: HTTPRequestHead?
    private var isOver = false
    private var deadline: Scheduled<Void>?

    /// From connecting to the end of the request, and from there to the end of the answer.
    private static let requestTimeout = TimeAmount.seconds(1)
    private static let answerTimeout = TimeAmount.seconds(5)

    init(answers: HealthAnswers, connections: HealthConnections) {
        self.answers = answers
        self.connections = connections
    }

    func channelActive(context: ChannelHandlerContext) {
        connections.enter(context.channel)
        closes(context.channel, in: Self.requestTimeout)
    }

    private func closes(_ channel: any Channel, in time: TimeAmount) {
        deadline?.cancel()
        deadline = channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        connections.leave(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end:
            guard let request else { return }
            isOver = true
            connections.answered(context.channel)
            closes(context.channel, in: Self.answerTimeout)
            answer(request, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let answer = answers.answer(method: request.method.rawValue, target: request.uri)
        var head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status),
            headers: [
                "Content-Type": answer.type, "Content-Length": "\(answer.body.utf8.count)",
                "Connection": "close", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Server": "ASM",
            ])
        if answer.status == 405 { head.headers.add(name: "Allow", value: "GET, HEAD") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
        }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}
