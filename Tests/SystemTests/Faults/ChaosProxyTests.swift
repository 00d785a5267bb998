import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import SystemSupport

/// What the proxy does to traffic, seen from both ends: a fault that is not injected proves nothing.
@Suite("The chaos proxy")
struct ChaosProxyTests {
    @Test("fair weather, slices, shaking and a narrow line change no byte", .timeLimit(.minutes(1)))
    func bytesStay() async throws {
        for kind in [
            Weather.Kind.fair, .sliced, .shaky(.milliseconds(1), upTo: .milliseconds(30)),
            .narrow(bytesPerSecond: 4_000), .slow(.milliseconds(50)),
        ] {
            let line = try await Line(kind)
            let sent = (0..<200).map { UInt8($0) }
            for byte in sent { line.send([byte]) }

            try await line.untilHeard(sent)
        }
    }

    @Test("slow and narrow take their time", .timeLimit(.minutes(1)))
    func takesTime() async throws {
        for (kind, least) in [
            (Weather.Kind.slow(.milliseconds(300)), Duration.milliseconds(600)),
            (.narrow(bytesPerSecond: 1_000), .milliseconds(390)),
        ] {
            let line = try await Line(kind)
            let began = ContinuousClock.now
            line.send([UInt8](repeating: 7, count: 200))

            try await line.untilHeard([UInt8](repeating: 7, count: 200))
            #expect(ContinuousClock.now - began >= least)
        }
    }

    @Test("a black hole swallows requests, answers, or both", .timeLimit(.minutes(1)))
    func blackHoles() async throws {
        for (kind, arrives) in [
            (Weather.Kind.blackHole, false), (.blackHoleIn, false), (.blackHoleOut, true),
        ] {
            let line = try await Line(kind)
            line.send([1, 2, 3])
            try await line.weather.swallowed.until("three bytes should be gone") { $0 == 3 ? true : nil }
            line.weather.turn(.fair)
            line.send([4])

            try await line.untilHeard([4])
            #expect(line.echoed == (arrives ? [1, 2, 3, 4] : [4]))
        }
    }

    @Test(
        "cut after so many bytes: the request is done or not, and the client is reset",
        .timeLimit(.minutes(1)))
    func cuts() async throws {
        let answers = try await Line(.cutAfter(responseBytes: 0))
        answers.send([1, 2, 3])
        try await answers.untilEnded()
        #expect(answers.echoed == [1, 2, 3] && answers.heard == [])

        let requests = try await Line(.cutAfterRequest(bytes: 2))
        requests.send([1, 2, 3])
        try await requests.untilEnded()
        try await requests.untilEchoed([1, 2])
    }

    @Test("half-closed: no more goes in, and the answer still comes out", .timeLimit(.minutes(1)))
    func halfClosed() async throws {
        let line = try await Line(.halfClosed)
        line.send([1, 2])

        try await line.untilHeard([1, 2])
        try await line.untilInputEnded()
    }

    @Test("reset ends what is open, and a new target takes what comes next", .timeLimit(.minutes(1)))
    func resetAndSwap() async throws {
        let line = try await Line(.fair)
        line.send([1])
        try await line.untilHeard([1])
        let other = try await Echo()

        line.proxy.swapTarget(other.port)
        line.proxy.reset()
        try await line.untilEnded()
        let next = try await Mouth(port: line.proxy.port)
        next.send([2])
        try await next.ear.until("the answer should come") { $0.bytes == [2] ? true : nil }
        #expect(other.ear.value.bytes == [2])
    }
}

/// A client, a proxy and a server that gives back what it gets.
private final class Line: Sendable {
    let weather = Weather()
    let proxy: ChaosProxy
    private let echo: Echo
    private let mouth: Mouth

    init(_ kind: Weather.Kind) async throws {
        echo = try await Echo()
        proxy = try await ChaosProxy(target: echo.port) { [weather] in weather.traffic() }
        weather.turn(kind)
        mouth = try await Mouth(port: proxy.port)
    }

    var heard: [UInt8] { mouth.ear.value.bytes }
    var echoed: [UInt8] { echo.ear.value.bytes }

    func send(_ bytes: [UInt8]) { mouth.send(bytes) }

    func untilHeard(_ bytes: [UInt8]) async throws {
        try await mouth.ear.until("the answer should come") { $0.bytes == bytes ? true : nil }
    }

    func untilEchoed(_ bytes: [UInt8]) async throws {
        try await echo.ear.until("the request should arrive") { $0.bytes == bytes ? true : nil }
    }

    func untilEnded() async throws {
        try await mouth.ear.until("the connection should end") { $0.isOver ? true : nil }
    }

    func untilInputEnded() async throws {
        try await echo.ear.until("the server should be told that no more comes") {
            $0.inputEnded ? true : nil
        }
    }
}

private struct Heard: Sendable {
    var bytes: [UInt8] = []
    var inputEnded = false
    var isOver = false
}

/// A server that gives back what it gets.
private final class Echo: Sendable {
    let ear = Watched(Heard())
    let port: Int
    private let channel: any Channel

    init() async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [ear] client in
                client.eventLoop.makeCompletedFuture {
                    try client.pipeline.syncOperations.addHandler(Listener(ear: ear, answers: true))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    deinit { channel.close(promise: nil) }
}

/// A client.
private final class Mouth: Sendable {
    let ear = Watched(Heard())
    private let channel: any Channel

    init(port: Int) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { [ear] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Listener(ear: ear, answers: false))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    deinit { channel.close(promise: nil) }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
}

private final class Listener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let ear: Watched<Heard>
    private let answers: Bool

    init(ear: Watched<Heard>, answers: Bool) {
        self.ear = ear
        self.answers = answers
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Array(unwrapInboundIn(data).readableBytesView)
        ear.update { $0.bytes += bytes }
        if answers { context.writeAndFlush(data, promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { ear.update { $0.inputEnded = true } }
    }

    func channelInactive(context: ChannelHandlerContext) { ear.update { $0.isOver = true } }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
