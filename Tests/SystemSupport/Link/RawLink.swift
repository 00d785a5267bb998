import NIOCore
import NIOPosix
import TestSupport

/// A connection to an ASM Service that says what no Web Service would, and keeps what is answered.
final class RawLink: Sendable {
    struct State: Sendable {
        var isGreeted = false
        var isClosed = false
        /// The answers by the id of their request.
        var answers: [UInt64: [UInt8]] = [:]
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let link: RawLink
        private var unread = ByteBuffer()

        init(_ link: RawLink) { self.link = link }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            unread.writeImmutableBuffer(unwrapInboundIn(data))
            while let length = unread.getInteger(at: unread.readerIndex, as: UInt32.self),
                unread.readableBytes >= 4 + Int(length)
            {
                unread.moveReaderIndex(forwardBy: 4)
                if let frame = unread.readBytes(length: Int(length)) { link.received(frame) }
            }
            unread.discardReadBytes()
        }

        func channelInactive(context: ChannelHandlerContext) { link.state.update { $0.isClosed = true } }

        // Whatever it is, the connection is closed by it.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let state = Watched(State())
    private let channel = Watched<(any Channel)?>(nil)
    private let numbers: LinkNumbers

    /// Connects and says hello.
    init(port: Int, numbers: LinkNumbers, saysHello: Bool = true) async throws {
        self.numbers = numbers
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reader(self))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        self.channel.update { $0 = channel }
        guard saysHello else { return }
        send(Wire.frame(Wire.bytes(numbers.hello, Wire.number(1, 1) + Wire.text(2, "fuzzer"))))
        try await state.until("the hello should be answered") { $0.isGreeted || $0.isClosed ? true : nil }
    }

    func send(_ bytes: [UInt8]) {
        channel.value?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func close() { channel.value?.close(promise: nil) }

    private func received(_ frame: [UInt8]) {
        guard let kind = Wire.fields(frame).first else { return }
        state.update { [numbers] state in
            if kind.number == numbers.hello { state.isGreeted = true }
            guard kind.number == numbers.response else { return }
            let id = Wire.fields(kind.body).first { $0.number == 1 }?.value
            if let id { state.answers[id] = kind.body }
        }
    }
}

/// Numbers of link.proto that tests speak by themselves.
struct LinkNumbers: Sendable {
    let hello: Int
    let request: Int
    let response: Int
    let delivery: Int
    let sessionEnded: Int
    let refused: Int
    private let contract: LinkContract

    init(_ contract: LinkContract) throws {
        self.contract = contract
        func number(_ name: String, of message: String) throws -> Int {
            guard let field = contract.fields(of: message).first(where: { $0.name == name }) else {
                throw Program.Failure(description: "link.proto has no \(name) in \(message)")
            }
            return field.number
        }
        hello = try number("hello", of: "Frame")
        request = try number("request", of: "Frame")
        response = try number("response", of: "Frame")
        delivery = try number("delivery", of: "Frame")
        sessionEnded = try number("session_ended", of: "Frame")
        refused = try number("refused", of: "Response")
    }

    /// The number of a field by its name; 0 for one that there is not.
    func number(_ name: String, of message: String) -> Int {
        contract.fields(of: message).first { $0.name == name }?.number ?? 0
    }

    /// The code and sentence of an answer that is a refusal.
    func refusal(_ response: [UInt8]) -> (code: String, message: String)? {
        guard let refused = Wire.fields(response).first(where: { $0.number == refused }) else { return nil }
        let fields = Wire.fields(refused.body)
        func text(_ number: Int) -> String {
            String(decoding: fields.first { $0.number == number }?.body ?? [], as: UTF8.self)
        }
        return (text(1), text(2))
    }
}
