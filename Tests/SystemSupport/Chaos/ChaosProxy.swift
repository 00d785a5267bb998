import NIOCore
import NIOPosix
import Synchronization

/// What becomes of bytes on their way.
enum Verdict {
    case forward([ByteBuffer])
    /// Forwards the bytes this much later; those that follow wait behind them.
    case delay(ByteBuffer, TimeAmount)
    /// Forwards the bytes this much after those before them, as a slow line does.
    case pace(ByteBuffer, TimeAmount)
    /// Forwards the bytes and says that no more will come that way; the other way stays open.
    case halfClose(ByteBuffer)
    /// Resets both connections, as the death of a machine in between looks.
    case cut
    /// Forwards these last bytes, then ends both connections: with a reset where the bytes came from.
    case cutAfter(ByteBuffer)
}

/// Looks at the bytes of one connection through a `ChaosProxy`; used on one event loop.
protocol Traffic: AnyObject {
    func fromClient(_ bytes: ByteBuffer) -> Verdict
    func fromServer(_ bytes: ByteBuffer) -> Verdict
}

/// A TCP proxy on a port of this machine that does to its traffic what a test wants.
final class ChaosProxy: Sendable {
    private let channel: any Channel
    private let backend: Backend
    let port: Int
    var address: String { "127.0.0.1:\(port)" }

    private static let connectTimeout = TimeAmount.seconds(2)

    /// Where connections go to, and those that are open.
    private final class Backend: Sendable {
        let host: String
        let target: Mutex<Int>
        let open = Mutex<[ObjectIdentifier: any Channel]>([:])

        init(_ host: String, _ target: Int) {
            self.host = host
            self.target = Mutex(target)
        }

        func keep(_ channel: any Channel) {
            let id = ObjectIdentifier(channel)
            open.withLock { $0[id] = channel }
            channel.closeFuture.whenComplete { [self] _ in
                open.withLock { _ = $0.removeValue(forKey: id) }
            }
        }
    }

    /// - Parameters:
    ///   - host: the address at which it listens.
    ///   - targetHost: the address of the server behind it.
    ///   - target: that server's port.
    ///   - makeTraffic: makes what looks at each connection's bytes.
    init(
        on host: String = "127.0.0.1", to targetHost: String = "127.0.0.1", target: Int,
        makeTraffic: @escaping @Sendable () -> any Traffic
    ) async throws {
        let backend = Backend(targetHost, target)
        self.backend = backend
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { client in
                client.eventLoop.makeCompletedFuture {
                    let traffic = makeTraffic()
                    let inner = Side { traffic.fromClient($0) }
                    let outer = Side { traffic.fromServer($0) }
                    inner.other = outer
                    outer.other = inner
                    try client.pipeline.syncOperations.addHandler(inner)
                    backend.keep(client)
                    Self.connect(client, outer, to: backend)
                }
            }
            .bind(host: host, port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    deinit { channel.close(promise: nil) }

    /// Connections that come from now on go to another port.
    func swapTarget(_ port: Int) { backend.target.withLock { $0 = port } }

    /// Resets all connections that are open now.
    func reset() {
        for channel in backend.open.withLock({ Array($0.values) }) { Side.reset(channel) }
    }

    private static func connect(_ client: any Channel, _ outer: Side, to backend: Backend) {
        let side = NIOLoopBound(outer, eventLoop: client.eventLoop)
        ClientBootstrap(group: client.eventLoop)
            .connectTimeout(connectTimeout)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    backend.keep(server)
                    try server.pipeline.syncOperations.addHandler(side.value)
                }
            }
            .connect(host: backend.host, port: backend.target.withLock { $0 })
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
    /// How much waits for its time; what follows waits behind it, whatever the weather is by then.
    private var waiting = 0
    /// What comes after the last bytes is dropped.
    private var isOver = false

    init(judge: @escaping (ByteBuffer) -> Verdict) { self.judge = judge }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch judge(unwrapInboundIn(data)) {
        case .forward(let buffers): for buffer in buffers { pass(buffer, in: context) }
        case .delay(let buffer, let time):
            heldUntil = max(heldUntil, .now() + time)
            pass(buffer, in: context)
        case .pace(let buffer, let time):
            heldUntil = max(heldUntil, .now()) + time
            pass(buffer, in: context)
        case .halfClose(let buffer):
            pass(buffer, in: context)
            inTurn(context) { $0.other?.context?.close(mode: .output, promise: nil) }
        case .cut:
            other?.reset()
            reset()
        case .cutAfter(let buffer):
            isOver = true
            inTurn(context) { $0.end(after: buffer) }
        }
    }

    private func end(after buffer: ByteBuffer) {
        guard buffer.readableBytes > 0, let far = other?.context else {
            other?.reset()
            return reset()
        }
        // A reset would throw away what the far end has not read yet.
        far.writeAndFlush(NIOAny(buffer)).assumeIsolated().whenComplete { _ in far.close(promise: nil) }
        other?.other = nil
        reset()
    }

    /// One way has ended; what ends the other, or both, comes later.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        other?.context?.close(mode: .output, promise: nil)
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
        Self.reset(context.channel)
    }

    static func reset(_ channel: any Channel) {
        guard let options = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }

    private func pass(_ buffer: ByteBuffer, in context: ChannelHandlerContext) {
        inTurn(context) { $0.other?.context?.writeAndFlush(NIOAny(buffer), promise: nil) }
    }

    /// Does it now, or behind what still waits.
    private func inTurn(_ context: ChannelHandlerContext, _ act: @escaping @Sendable (Side) -> Void) {
        guard waiting > 0 || heldUntil > .now() else { return act(self) }
        waiting += 1
        let side = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: heldUntil) {
            side.value.waiting -= 1
            act(side.value)
        }
    }
}

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif
