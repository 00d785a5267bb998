import TransportSecurity

/// Where a process listens or is reached: a host and a port, written `HOST:PORT` or `[IPV6]:PORT`.
package struct BindAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name, an IPv4 literal, or an IPv6 literal without its brackets.
    package let host: String
    /// 0 asks the system for a free port; only sensible for listening.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads the text form; the error says which part is wrong and what is expected.
    package init(_ text: some StringProtocol) throws(BindAddressError) {
        let text = String(text)
        guard !text.isEmpty else { throw .empty }
        let host: Substring
        let port: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw .unclosedBracket(text) }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.first == ":" else { throw .missingPort(text) }
            port = rest.dropFirst()
            if let zone = host.firstIndex(of: "%") { throw .zone(text, zone: String(host[zone...])) }
            guard case .v6 = IPAddress(String(host)) else {
                throw .invalidHost(text, host: String(host))
            }
        } else {
            guard let colon = text.lastIndex(of: ":") else { throw .missingPort(text) }
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { throw .unbracketedIPv6(text) }
            guard !host.isEmpty else { throw .missingHost(text) }
            guard host.utf8.allSatisfy(Self.isNameCharacter) else {
                throw .invalidHost(text, host: String(host))
            }
        }
        guard !port.isEmpty else { throw .missingPort(text) }
        guard port.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(port), number <= 65_535
        else {
            throw .invalidPort(text, port: String(port))
        }
        self.init(host: String(host), port: number)
    }

    /// The same for each way of writing the same host: in lower case, an IP address in its shortest form.
    package var canonical: BindAddress {
        BindAddress(host: IPAddress(host)?.text ?? host.lowercased(), port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// What is wrong with the text form of an address.
package enum BindAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case missingHost(String)
    case missingPort(String)
    case invalidHost(String, host: String)
    case invalidPort(String, port: String)
    case unbracketedIPv6(String)
    case unclosedBracket(String)
    case zone(String, zone: String)

    package var description: String {
        switch self {
        case .empty: "the address is empty; expected HOST:PORT, for example 127.0.0.1:7400"
        case .missingHost(let text): "‘\(text)’ has no host before the colon; expected HOST:PORT"
        case .missingPort(let text): "‘\(text)’ has no port; expected HOST:PORT, for example 127.0.0.1:7400"
        case .invalidHost(let text, let host):
            "the host ‘\(host)’ of ‘\(text)’ is neither a name nor an IP address; expected HOST:PORT"
        case .invalidPort(let text, let port):
            "the port ‘\(port)’ of ‘\(text)’ is not a number from 0 to 65535; expected HOST:PORT"
        case .unbracketedIPv6(let text):
            "‘\(text)’ has several colons; write an IPv6 address in brackets, for example [::1]:7400"
        case .unclosedBracket(let text): "‘\(text)’ has no closing bracket; expected [IPV6]:PORT"
        case .zone(let text, let zone):
            "‘\(text)’ holds for one network interface of one machine (‘\(zone)’); write a name, or an address without it that all machines reach, for example [fd00::1]:7400"
        }
    }
}
