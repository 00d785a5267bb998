import Domain
import Logging
import NIOCore
import NIOPosix
import ServiceLink
import TestSupport
import Testing

@Suite("What a pool says of a server that it cannot use", .timeLimit(.minutes(1)))
struct LinkWarningTests {
    /// What stands at the address of an ASM Service and is none.
    enum Impostor: CaseIterable {
        case saysNothing, closesAtOnce, speaksHTTP

        var words: String {
            switch self {
            case .saysNothing: "it accepts connections and says nothing"
            case .closesAtOnce: "it closed the connection before its first word"
            case .speaksHTTP: "a frame of"
            }
        }
    }

    @Test("is one line for one outage, however often it is tried again", arguments: Impostor.allCases)
    func oneLine(impostor: Impostor) async throws {
        let accepted = Watched(0)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                accepted.change { $0 += 1 }
                switch impostor {
                case .saysNothing: break
                case .closesAtOnce: channel.close(promise: nil)
                case .speaksHTTP:
                    channel.eventLoop.execute {
                        channel.writeAndFlush(
                            ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"), promise: nil)
                    }
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let address = BindAddress(host: "127.0.0.1", port: listener.localAddress?.port ?? 0)
        var limits = hastyLimits()
        limits.helloWithin = .milliseconds(50)
        limits.probeEvery = .milliseconds(20)
        let log = RecordedLog()
        try await withPool(at: [address], limits: limits, logger: log.logger) { pool, _ in
            await accepted.until { $0 >= 6 }
            #expect(!pool.isServing)
        }
        try await listener.close()

        let said = log.lines.filter { $0.level >= .warning }.map { $0.facts["link.reason"] ?? $0.message }
        #expect(said.count == 1, "\(said)")
        #expect(said.first?.contains(impostor.words) == true, "\(said)")
    }

    @Test("is one line while it starts, and nothing of its health before it has answered that it serves")
    func starting() async throws {
        let service = TestService()
        let refusal = LinkRefused(Refusal(.unavailable, "This server is starting."))
        service.follow { request in
            if case .getStatus = request.body { .body(.refused(refusal)) } else { .usual }
        }
        let server = try await TestServer(service)
        let log = RecordedLog()
        try await withPool(of: [server], limits: hastyLimits(), logger: log.logger) { pool, _ in
            await service.seen.until { $0.count >= 4 }
            #expect(!pool.isServing)
            #expect(log.lines.map(\.message) == ["ASM Service does not serve yet"])
            service.follow { _ in .usual }
            let echo = try await pool.echo("at last")
            #expect(echo == "at last")
        }
        #expect(log.lines.map(\.message) == ["ASM Service does not serve yet", "ASM Service is healthy"])
        #expect(log.lines.first?.facts["link.reason"] == "This server is starting.")
    }
}
