import NIOCore
import NIOPosix
import TestSupport

/// What Web Services take for an ASM Service: it says hello, is active, attaches sessions, and answers all else as it is told.
final class HostileService: Sendable {
    /// The field of the response that answers each request, as protobuf; nil is `Done`.
    let answer = Watched<[UInt8]?>(nil)
    /// Sessions that were attached since the last look.
    let attached = Watched(0)
    private let connections = Watched<[any Channel]>([])
    private let listening: any Channel
    let numbers: LinkNumbers

    var port: Int { listening.localAddress?.port ?? 0 }

    init(_ numbers: LinkNumbers) async throws {
        self.numbers = numbers
        let (answer, attached, connections) = (answer, attached, connections)
        listening = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    connections.update { $0.append(channel) }
                    try channel.pipeline.syncOperations.addHandler(
                        Mouth(numbers: numbers, answer: answer, attached: attached))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Sends a frame to everybody who is connected.
    func push(_ frame: [UInt8]) {
        for channel in connections.value where channel.isActive {
            channel.writeAndFlush(ByteBuffer(bytes: Wire.frame(frame)), promise: nil)
        }
    }

    func stop() async throws {
        try await listening.close()
        for channel in connections.value { channel.close(promise: nil) }
    }

    private final class Mouth: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let numbers: LinkNumbers
        private let answer: Watched<[UInt8]?>
        private let attached: Watched<Int>
        private var unread = ByteBuffer()

        init(numbers: LinkNumbers, answer: Watched<[UInt8]?>, attached: Watched<Int>) {
            self.numbers = numbers
            self.answer = answer
            self.attached = attached
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            unread.writeImmutableBuffer(unwrapInboundIn(data))
            while let length = unread.getInteger(at: unread.readerIndex, as: UInt32.self),
                unread.readableBytes >= 4 + Int(length)
            {
                unread.moveReaderIndex(forwardBy: 4)
                guard let frame = unread.readBytes(length: Int(length)),
                    let reply = reply(to: frame)
                else { continue }
                context.writeAndFlush(NIOAny(ByteBuffer(bytes: Wire.frame(reply))), promise: nil)
            }
            unread.discardReadBytes()
        }

        private func reply(to frame: [UInt8]) -> [UInt8]? {
            guard let kind = Wire.fields(frame).first else { return nil }
            if kind.number == numbers.hello {
                return Wire.bytes(numbers.hello, Wire.number(1, 1) + Wire.text(2, "hostile"))
            }
            if kind.number == numbers.number("ping", of: "Frame") {
                return Wire.bytes(numbers.number("pong", of: "Frame"), kind.body)
            }
            let fields = Wire.fields(kind.body)
            guard kind.number == numbers.request, let id = fields.first(where: { $0.number == 1 })?.value
            else { return nil }
            func asks(_ name: String) -> Bool {
                fields.contains { $0.number == numbers.number(name, of: "Request") }
            }
            let body: [UInt8]
            if asks("get_status") {
                body = field("status", Wire.text(1, "active"))
            } else if asks("attach") {
                attached.update { $0 += 1 }
                body = field(
                    "attached",
                    Wire.bytes(1, Wire.bytes(1, Wire.number(1, 5)) + Wire.number(4, 6)) + Wire.fixed(2, 7)
                        + Wire.fixed(3, 9)
                        + Wire.number(4, 1))
            } else {
                body = answer.value ?? field("done", [])
            }
            return Wire.bytes(numbers.response, Wire.number(1, id) + body)
        }

        private func field(_ name: String, _ body: [UInt8]) -> [UInt8] {
            Wire.bytes(numbers.number(name, of: "Response"), body)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// Every field of every answer and push of a server at its extremes, around it only what must be.
struct AnswerFuzzer: Sendable {
    let contract: LinkContract

    /// The types of fields that hold no others.
    private static let plain: Set<String> = [
        "int32", "int64", "uint32", "uint64", "fixed64", "bool", "string", "bytes",
    ]

    /// A message's fields at their extremes, on every way to them.
    /// - Returns: each with the name of the message's own field that leads there.
    func extremes(of message: String) -> [(kind: String, name: String, bytes: [UInt8])] {
        contract.ways(from: message, to: Self.plain).filter { $0.count > 1 }.flatMap { way in
            guard let last = way.last else { return [] as [(kind: String, name: String, bytes: [UInt8])] }
            return LinkExtremes.of(last).filter { !$0.isMalformed && $0.bytes.count < 70_000 }.map { value in
                var bytes = value.bytes
                for field in way.dropLast().reversed() { bytes = Wire.bytes(field.number, bytes) }
                return (way[0].name, "\(way.map(\.name).joined(separator: ".")): \(value.name)", bytes)
            }
        }
    }
}
