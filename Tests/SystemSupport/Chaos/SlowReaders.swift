import Dispatch
import Domain
import Foundation
import Glibc

/// Live clients that read a few bytes a second, over plain sockets with small receive buffers.
final class SlowReaders: Sendable {
    enum End: Hashable, Sendable {
        case resync
        /// Closed with this code; nil without one.
        case closed(code: Int?)
        /// Nothing was held back: the server kept everything for it.
        case everythingCame
    }

    struct Failure: Error {
        let problem: String
        let code = errno
    }

    private static let receiveBufferBytes: Int32 = 4_096
    private static let drainBufferBytes: Int32 = 1 << 20
    private static let trickleBytes = 16
    private static let patience = timeval(tv_sec: 3, tv_usec: 0)
    private static let queue = DispatchQueue(label: "slow-readers")

    private let sockets: [Int32]

    init(count: Int, at web: Web, as login: Web.Login) async throws {
        sockets = try await Self.blocking {
            try (0..<count).map { _ in try Self.connect(to: web, as: login) }
        }
    }

    deinit { for socket in sockets { close(socket) } }

    /// Reads a few bytes of each connection four times a second.
    func trickle(for time: Duration) async throws {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end {
            for socket in sockets {
                var bytes = [UInt8](repeating: 0, count: Self.trickleBytes)
                _ = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Reads everything that there still is, and says how each connection ended up.
    /// - Parameter limit: of how many; all by default.
    func drain(limit: Int = .max) async throws -> [End] {
        let sockets = sockets.prefix(limit)
        return try await Self.blocking { sockets.map(Self.drain) }
    }

    private static func drain(_ socket: Int32) -> End {
        var size = drainBufferBytes
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        let resync = Data(#""kind":"resync""#.utf8)
        var tail = Data()
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            tail = tail.suffix(64) + chunk[..<count]
            if tail.range(of: resync) != nil { return .resync }
        }
        // An unmasked close frame with a code is the last thing on the connection.
        let last = Array(tail.suffix(4))
        guard last.count == 4, last[0] == 0x88, last[1] == 2 else {
            var byte: UInt8 = 0
            let isOver = recv(socket, &byte, 1, Int32(MSG_DONTWAIT)) == 0
            return isOver ? .closed(code: nil) : .everythingCame
        }
        return .closed(code: Int(last[2]) << 8 | Int(last[3]))
    }

    private static func connect(to web: Web, as login: Web.Login) throws -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var size = receiveBufferBytes
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        var patience = patience
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(web.port).bigEndian
        guard inet_pton(AF_INET, web.host, &address.sin_addr) == 1 else { throw Failure(problem: web.host) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                Glibc.connect(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Failure(problem: "connect") }
        let request = """
            GET /v1/live HTTP/1.1\r
            Host: \(web.host):\(web.port)\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Version: 13\r
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
            \r

            """
        try write(Array(request.utf8), to: socket)
        try read(until: "\r\n\r\n", from: socket)
        var hello: [UInt8] = []
        ClientFrame.hello(token: login.token, cursor: nil).encode(into: &hello)
        // A mask of zeros is a mask; this length needs the 16-bit form.
        let length = UInt16(hello.count)
        let header: [UInt8] =
            hello.count < 126
            ? [0x81, 0x80 | UInt8(length)] : [0x81, 0x80 | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
        try write(header + [0, 0, 0, 0] + hello, to: socket)
        try read(until: "\"resync\":false}", from: socket)
        return socket
    }

    private static func write(_ bytes: [UInt8], to socket: Int32) throws {
        guard Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure(problem: "send")
        }
    }

    /// Reads byte by byte, so that nothing after it is lost.
    private static func read(until end: String, from socket: Int32) throws {
        let end = Array(end.utf8)
        var read: [UInt8] = []
        while !read.suffix(end.count).elementsEqual(end) {
            var byte: UInt8 = 0
            guard recv(socket, &byte, 1, 0) == 1 else {
                throw Failure(problem: "after \(String(decoding: read, as: UTF8.self))")
            }
            read.append(byte)
        }
    }

    private static func blocking<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}
