import Domain
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Observability
import ServiceLink
import SwiftProtobuf

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// One server of a test with its answers.
struct TestServer {
    let service: TestService
    let server: LinkServer
    let address: BindAddress

    /// Starts a server on a free port, or on the one given.
    init(
        _ service: TestService, port: Int = 0, limits: LinkLimits = .init(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger = quiet
    ) async throws {
        self.service = service
        server = LinkServer(
            address: BindAddress(host: "127.0.0.1", port: port), name: "server", software: "1.0",
            service: service, limits: limits, group: group, logger: logger)
        address = BindAddress(host: "127.0.0.1", port: try await server.start())
    }

    func hasSession(_ session: LinkSession) -> Bool { service.attached.value[session.id] != nil }
}

/// Limits with which failures are noticed fast, and yet not by mistake on a busy machine.
func hastyLimits() -> LinkLimits {
    var limits = LinkLimits()
    limits.probeEvery = .milliseconds(200)
    limits.pingEvery = .milliseconds(200)
    limits.pongWithin = .milliseconds(1_500)
    limits.stall = .milliseconds(500)
    limits.sweepEvery = .milliseconds(20)
    return limits
}

/// Runs the test with a pool of these servers, and closes all of them.
func withPool(
    of servers: [TestServer], limits: LinkLimits = .init(), metrics: MetricRegistry = MetricRegistry(),
    logger: Logger = quiet, _ body: (LinkPool, TestEvents) async throws -> Void
) async throws {
    try await withPool(at: servers.map(\.address), limits: limits, metrics: metrics, logger: logger, body)
    for server in servers { await server.server.closeAtOnce() }
}

func withPool(
    at addresses: [BindAddress], limits: LinkLimits = .init(), metrics: MetricRegistry = MetricRegistry(),
    logger: Logger = quiet, _ body: (LinkPool, TestEvents) async throws -> Void
) async throws {
    let events = TestEvents()
    let pool = LinkPool(
        servers: try ServerList(addresses), name: "test", software: "1.0", limits: limits, events: events,
        group: MultiThreadedEventLoopGroup.singleton, metrics: metrics, logger: logger)
    pool.start()
    do {
        try await body(pool, events)
        await pool.stop()
    } catch {
        await pool.stop()
        throw error
    }
}

extension LinkPool {
    func areHealthy(_ count: Int) -> Bool { servers.count { $0.state == .healthy } == count }

    /// A session that is attached already.
    func attachedSession(_ sink: TestSink = TestSink(), cursor: LogCursor? = nil) async -> LinkSession {
        let session = open(token: [1, 2, 3], cursor: cursor, sink: sink)
        await sink.events.until { !$0.isEmpty }
        return session
    }

    /// Asks for a user and answers the name that came back.
    func echo(_ text: String, deadline: Duration? = nil) async throws -> String {
        let find = LinkFindUsers.with { $0.search = text }
        guard case .users(let users) = try await request(.findUsers(find), token: [1], deadline: deadline)
        else {
            return "another answer"
        }
        return users.users.first?.name ?? "no user"
    }
}

extension LinkSession {
    func send(_ text: String) async -> Result<LinkAccepted, Refusal> {
        await withCheckedContinuation { waiting in
            send(message(text)) { waiting.resume(returning: $0) }
        }
    }

    /// Sends all at once; the results come in the order of the answers.
    func sendAll(_ texts: [String]) -> Watched<[Result<LinkAccepted, Refusal>]> {
        let results = Watched<[Result<LinkAccepted, Refusal>]>([])
        for text in texts { send(message(text)) { result in results.change { $0.append(result) } } }
        return results
    }

    private func message(_ text: String) -> LinkSendMessage {
        LinkSendMessage.with {
            $0.thread = 1
            $0.text = text
            $0.clientID = .random()
        }
    }
}

extension Result {
    var isSuccess: Bool { if case .success = self { true } else { false } }
}

extension Result where Failure == Refusal {
    var refusal: Refusal? { if case .failure(let refusal) = self { refusal } else { nil } }
}

/// A connection of plain bytes to a server, to send what no client would.
final class RawClient: Sendable {
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let received: Watched<[UInt8]>
        init(_ received: Watched<[UInt8]>) { self.received = received }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            received.change { $0 += bytes }
        }
    }

    let received = Watched<[UInt8]>([])
    private let channel: any Channel

    init(_ address: BindAddress, reads: Bool = true) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { [received] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: address.host, port: address.port).get()
    }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func send(_ frame: LinkFrame) throws {
        let bytes: [UInt8] = try frame.serializedBytes()
        let count = UInt32(bytes.count)
        send((0..<4).map { UInt8(truncatingIfNeeded: count >> UInt32(24 - 8 * $0)) } + bytes)
    }

    func sendHello(version: UInt32 = LinkVersions.ours.newest, oldest: UInt32 = 0) throws {
        try send(
            LinkFrame.with {
                $0.hello = LinkHello.with {
                    $0.version = version
                    $0.oldestVersion = oldest
                }
            })
    }

    /// Waits until the server has closed the connection.
    func untilClosed() async throws { try await channel.closeFuture.get() }

    func close() { channel.close(promise: nil) }
}

/// Holds an event loop's only thread, as SIGSTOP holds a process.
final class StoppedThread: Sendable {
    private let condition = ConditionLock(value: false)

    init(of group: MultiThreadedEventLoopGroup) async {
        let stands = Watched(false)
        group.next().execute { [condition] in
            stands.change { $0 = true }
            condition.lock(whenValue: true)
            condition.unlock()
        }
        await stands.until { $0 }
    }

    func goOn() {
        condition.lock()
        condition.unlock(withValue: true)
    }
}
