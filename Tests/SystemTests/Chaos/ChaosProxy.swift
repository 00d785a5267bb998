import NIOCore
import NIOPosix

/// What becomes of bytes on their way.
enum Verdict {
    case forward([ByteBuffer])
    /// Forwards the bytes this much later; those that follow wait behind them.
    case delay(ByteBuffer, TimeAmount)
    /// Resets both connections, as the death of a machine in between looks.
    case cut
}

/// Looks at the bytes of one connection through a `ChaosProxy`; used on one event loop.
protocol Traffic: AnyObject {
    func fromClient(_ bytes: ByteBuffer) -> Verdict
    func fromServer(_ bytes: ByteBuffer) -> Verdict
}

/// A TCP proxy on a loopback port that does to its traffic what a test wants.
final class ChaosProxy: Sendable {
    private let channel: any Channel
    let port: Int
    var address: String { "127.0.0.1:\(port)" }

    private static let connectTimeout = TimeAmount.seconds(2)

    /// - Parameters:
    ///   - target: the port of the server behind it, on this machine.
    ///   - makeTraffic: makes what looks at each connection's bytes.
    init(target: Int, makeTraffic: @escaping @Sendable () -> any Traffic) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                client.eventLoop.makeCompletedFuture {
                    let traffic = makeTraffic()
                    let inner = Side { traffic.fromClient($0) }
                    let outer = Side { traffic.fromServer($0) }
                    inner.other = outer
                    outer.other = inner
                    try client.pipeline.syncOperations.addHandler(inner)
                    Self.connect(client, outer, to: target)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    deinit { channel.close(promise: nil) }

    private static func connect(_ client: any Channel, _ outer: Side, to target: Int) {
        let side = NIOLoopBound(outer, eventLoop: client.eventLoop)
        ClientBootstrap(group: client.eventLoop)
            .connectTimeout(connectTimeout)
            .channelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    try server.pipeline.syncOperations.addHandler(side.value)
                }
            }
            .connect(host: "127.0.0.1", port: target)
            .whenComplete { result in
                switch result {
                case .success: client.setOption(.autoRead, value: true).whenFailure { _ in }
                case .failure: side.value.other?.reset()
                }
            }
    }
}

/// One of the two connections of a proxied one.
private final class Side: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// The side that what comes here goes to; broken when either connection ends.
    var other: Side?
    private let judge: (ByteBuffer) -> Verdict
    private var context: ChannelHandlerContext?
    /// Nothing is forwarded before this time.
    private var heldUntil = NIODeadline.now()

    init(judge: @escaping (ByteBuffer) -> Verdict) { self.judge = judge }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch judge(unwrapInboundIn(data)) {
        case .forward(let buffers): for buffer in buffers { pass(buffer, in: context) }
        case .delay(let buffer, let time):
            heldUntil = .now() + time
            pass(buffer, in: context)
        case .cut:
            other?.reset()
            reset()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let other = other
        self.other = nil
        other?.other = nil
        other?.context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Closes the connection with RST instead of FIN.
    func reset() {
        guard let context else { return }
        other = nil
        let channel = context.channel
        guard let options = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }

    private func pass(_ buffer: ByteBuffer, in context: ChannelHandlerContext) {
        guard heldUntil > .now() else {
            other?.context?.writeAndFlush(NIOAny(buffer), promise: nil)
            return
        }
        let side = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: heldUntil) {
            side.value.other?.context?.writeAndFlush(NIOAny(buffer), promise: nil)
        }
    }
}

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif
