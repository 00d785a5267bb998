import Foundation
import NIOCore
import NIOPosix

/// A TCP connection that speaks just enough HTTP and WebSocket to say also what no proper client would.
final class RawConnection {
    struct Reply {
        let status: Int
        let fields: [String: String]
        let body: [UInt8]

        var json: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]) ?? [:]
        }
        var errorCode: String? { (json["error"] as? [String: Any])?["code"] as? String }
        var errorMessage: String { (json["error"] as? [String: Any])?["message"] as? String ?? "" }
    }

    struct Frame {
        let opcode: UInt8
        let payload: [UInt8]

        var json: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any]) ?? [:]
        }
        var kind: String? { json["kind"] as? String }
        var code: String? { json["code"] as? String }
        var closeCode: Int? {
            opcode == 8 && payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
        }
    }

    struct Ended: Error {}

    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let continuation: AsyncStream<ByteBuffer>.Continuation

        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private let channel: any Channel
    private var incoming: AsyncStream<ByteBuffer>.Iterator
    private var buffer = ByteBuffer()

    init(port: Int, receiveBufferBytes: Int? = nil) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        var bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
        if let receiveBufferBytes {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBufferBytes))
        }
        channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        incoming = stream.makeAsyncIterator()
    }

    func close() { channel.close(promise: nil) }

    /// Stops or goes on taking bytes from the socket.
    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
        if isReading { channel.read() }
    }

    /// Takes once what the system has, where reading was stopped; from any task.
    var readOnce: @Sendable () -> Void { { [channel] in channel.read() } }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }

    private func more() async throws {
        guard var next = await incoming.next(isolation: nil) else { throw Ended() }
        buffer.writeBuffer(&next)
    }

    private func read(_ count: Int) async throws -> [UInt8] {
        while buffer.readableBytes < count { try await more() }
        return buffer.readBytes(length: count) ?? []
    }

    /// Returns when the other end has closed.
    func waitForEnd() async throws {
        do { while true { try await more() } } catch is Ended {}
    }

    // MARK: HTTP

    func request(
        _ method: String, _ path: String, _ fields: [String: String] = [:], body: [UInt8]? = nil
    ) async throws -> Reply {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        if fields["Host"] == nil { head += "Host: asm.test\r\n" }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if let body, fields["Content-Length"] == nil { head += "Content-Length: \(body.count)\r\n" }
        try await send(Array((head + "\r\n").utf8) + (body ?? []))
        return try await reply(hasBody: method != "HEAD")
    }

    func reply(hasBody: Bool = true) async throws -> Reply {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) { head += try await read(1) }
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n").filter {
            !$0.isEmpty
        }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        let length = hasBody ? fields["content-length"].flatMap { Int($0) } ?? 0 : 0
        let status = Int(lines[0].split(separator: " ")[1]) ?? 0
        return Reply(status: status, fields: fields, body: try await read(length))
    }

    // MARK: WebSocket

    @discardableResult
    func upgrade(_ fields: [String: String] = [:]) async throws -> Reply {
        var all = [
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        ]
        all.merge(fields) { $1 }
        return try await request("GET", "/v1/live", all)
    }

    func send(
        opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, isMasked: Bool = true, reserved: UInt8 = 0
    ) async throws {
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | reserved | opcode]
        let maskBit: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case 0...125: bytes.append(maskBit | UInt8(payload.count))
        case 126...65_535:
            bytes += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            bytes +=
                [maskBit | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        if isMasked {
            let mask: [UInt8] = [0xA1, 0x02, 0x53, 0xF4]
            bytes += mask
            bytes += payload.enumerated().map { $1 ^ mask[$0 & 3] }
        } else {
            bytes += payload
        }
        try await send(bytes)
    }

    func send(text: String) async throws { try await send(opcode: 1, Array(text.utf8)) }

    func frame() async throws -> Frame {
        let start = try await read(2)
        var length = Int(start[1] & 0x7F)
        if length == 126 {
            length = try await read(2).reduce(0) { $0 << 8 | Int($1) }
        } else if length == 127 {
            length = try await read(8).reduce(0) { $0 << 8 | Int($1) }
        }
        return Frame(opcode: start[0] & 0x0F, payload: try await read(length))
    }

    /// Upgrades and says hello; returns the answer.
    @discardableResult
    func goLive(as token: String, cursor: String? = nil) async throws -> Frame {
        try await upgrade()
        try await hello(as: token, cursor: cursor)
        return try await frame()
    }

    func hello(as token: String, cursor: String? = nil) async throws {
        let cursor = cursor.map { #","cursor":"\#($0)""# } ?? ""
        try await send(text: #"{"kind":"hello","token":"\#(token)"\#(cursor)}"#)
    }
}
