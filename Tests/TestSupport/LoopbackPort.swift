import Glibc

/// A loopback port for a server that may be started on it again.
///
/// It lies outside the range from which Linux takes ports by itself: one of those may be a client's when the server
/// comes back.
package enum LoopbackPort {
    package struct NoneIsFree: Error {}

    private static let candidates = 18_100..<32_000
    private static let attempts = 200

    package static func free() throws -> Int {
        for _ in 0..<attempts {
            let port = Int.random(in: candidates)
            if isFree(port) { return port }
        }
        throw NoneIsFree()
    }

    private static func isFree(_ port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { _ = Glibc.close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
