import ASMClient
import Domain
import Foundation
import NIOCore
import NIOPosix

/// One HTTP/1.1 connection of the attacker, with one request at a time, and nothing between it and the server that
/// would wait or repeat.
struct PlainConnection: Sendable {
    private static let connectTimeout = TimeAmount.seconds(5)

    private let channel: any Channel
    private let handler: NIOLoopBound<AnswerReader>
    private let host: String

    /// Its own, so that limits of an address are the attacker's alone.
    static func localAddress() throws -> SocketAddress {
        try SocketAddress(ipAddress: "127.0.0.66", port: 0)
    }

    static func connect(to address: WebAddress, on loop: any EventLoop) async throws -> PlainConnection {
        let isLocal = address.host.hasPrefix("127.") || address.host == "localhost"
        var bootstrap = ClientBootstrap(group: loop).connectTimeout(connectTimeout)
        if isLocal { bootstrap = bootstrap.bind(to: try localAddress()) }
        let channel = try await bootstrap.connect(
            host: address.host == "localhost" ? "127.0.0.1" : address.host, port: address.port
        ).get()
        let handler = try await channel.eventLoop.submit {
            let handler = AnswerReader()
            try channel.pipeline.syncOperations.addHandler(handler)
            return NIOLoopBound(handler, eventLoop: channel.eventLoop)
        }.get()
        return PlainConnection(channel: channel, handler: handler, host: address.authority)
    }

    /// Sends a request and answers the status of what comes back.
    func ask(_ method: String, _ path: String, token: Sealed<String>?, body: String) async throws -> Int {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n"
        if let token { text += "Authorization: Bearer \(token.open)\r\n" }
        if !body.isEmpty {
            text += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
        }
        let bytes = ByteBuffer(string: text + "\r\n" + body)
        return try await channel.eventLoop.flatSubmit { [channel, handler] in
            let answer = channel.eventLoop.makePromise(of: Int.self)
            handler.value.waiting(answer, on: channel)
            channel.writeAndFlush(bytes, promise: nil)
            return answer.futureResult
        }.get()
    }

    func close() { channel.close(promise: nil) }
}

/// Reads an answer's status and skips its body, whose length the head says.
private final class AnswerReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private struct Gone: Error {}

    private var answer: EventLoopPromise<Int>?
    private var received = ByteBuffer()
    private var status: Int?
    private var bodyLeft = 0

    func waiting(_ answer: EventLoopPromise<Int>, on channel: any Channel) {
        guard channel.isActive else { return answer.fail(Gone()) }
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if status == nil {
            received.writeBuffer(&buffer)
            guard let end = received.readableBytesView.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
            let length = end.upperBound - received.readerIndex
            let head = received.readString(length: length) ?? ""
            let lines = head.split(separator: "\r\n")
            status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            let field = lines.first { $0.lowercased().hasPrefix("content-length:") }
            bodyLeft = field?.split(separator: ":").last.flatMap { Int($0.drop { $0 == " " }) } ?? 0
            buffer = received
            received = ByteBuffer()
        }
        bodyLeft -= buffer.readableBytes
        guard bodyLeft <= 0, let status else { return }
        self.status = nil
        let answer = answer
        self.answer = nil
        answer?.succeed(status)
    }

    func channelInactive(context: ChannelHandlerContext) {
        answer?.fail(Gone())
        answer = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
