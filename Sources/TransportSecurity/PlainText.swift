import Glibc

/// Whether what is said unencrypted stays on this machine.
package enum PlainText {
    /// Plain text is for loopback only, unless an administrator allows it by name.
    ///
    /// Only `localhost` and literal addresses count: what another name means is decided elsewhere, and can change.
    package static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" { return true }
        switch IPAddress(host) {
        case .v4(let bytes): return bytes.first == 127
        case .v6(let bytes): return bytes == Array(repeating: 0, count: 15) + [1]
        case nil: return false
        }
    }
}

/// An address written in numbers, as certificates carry it.
package enum IPAddress: Hashable, Sendable {
    case v4([UInt8])
    case v6([UInt8])

    /// Reads `10.0.0.1` or `fd00::1` (without brackets and zone); nil for anything else, such as a name.
    package init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .v4(withUnsafeBytes(of: &four) { Array($0) })
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self = .v6(withUnsafeBytes(of: &six) { Array($0) })
        } else {
            return nil
        }
    }

    /// Takes four or sixteen bytes.
    init?(bytes: [UInt8]) {
        switch bytes.count {
        case 4: self = .v4(bytes)
        case 16: self = .v6(bytes)
        default: return nil
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .v4(let bytes), .v6(let bytes): bytes
        }
    }

    /// As it is written shortest, the same for each way of writing it.
    package var text: String {
        let family = if case .v4 = self { AF_INET } else { AF_INET6 }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let end = inet_ntop(family, bytes, &buffer, socklen_t(buffer.count))
        return end.map { String(cString: $0) } ?? "?"
    }
}
