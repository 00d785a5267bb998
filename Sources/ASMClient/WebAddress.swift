import Domain

/// Where a Web Service is reached: `http` or `https`, a host and a port.
public struct WebAddress: Hashable, Sendable, CustomStringConvertible {
    public let isSecure: Bool
    public let host: String
    public let port: Int

    /// Reads `http://host`, `https://host:8443` or `http://[::1]:8080`; a final slash is allowed, a path is
    /// not.
    public init(_ text: String) throws(MessagingError) {
        let scheme: String
        var rest: Substring
        if text.hasPrefix("http://") {
            (scheme, rest) = ("http", text.dropFirst(7))
        } else if text.hasPrefix("https://") {
            (scheme, rest) = ("https", text.dropFirst(8))
        } else {
            throw Self.bad(text, "it must start with http:// or https://")
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        isSecure = scheme == "https"
        let (host, port) = try Self.split(rest, of: text)
        guard !host.isEmpty else { throw Self.bad(text, "the host is missing") }
        guard !host.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || "/?#@[]".utf8.contains($0) }) else {
            throw Self.bad(text, "expected only a host and a port after \(scheme)://")
        }
        self.host = String(host)
        self.port =
            try port.map { text throws(MessagingError) in
                guard let number = Int(text), (1...65_535).contains(number) else {
                    throw Self.bad(String(rest), "the port must be a number from 1 to 65535")
                }
                return number
            } ?? (isSecure ? 443 : 80)
    }

    /// Reads a list separated by commas, such as `https://a.example,https://b.example`.
    public static func list(_ text: String) throws(MessagingError) -> [WebAddress] {
        var addresses: [WebAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            addresses.append(try WebAddress(String(part.drop { $0 == " " })))
        }
        return addresses
    }

    public var description: String { "\(isSecure ? "https" : "http")://\(authority)" }

    /// The host and port as a `Host` header carries them.
    package var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    private static func split(
        _ rest: Substring, of text: String
    ) throws(MessagingError) -> (host: Substring, port: Substring?) {
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { throw bad(text, "a ']' is missing") }
            let after = rest[rest.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw bad(text, "expected ':' after ']'") }
            return (rest[rest.index(after: rest.startIndex)..<end], after.isEmpty ? nil : after.dropFirst())
        }
        guard let colon = rest.firstIndex(of: ":") else { return (rest, nil) }
        return (rest[..<colon], rest[rest.index(after: colon)...])
    }

    private static func bad(_ text: String, _ problem: String) -> MessagingError {
        MessagingError(.badRequest, "\"\(text)\" is no address of a Web Service: \(problem).")
    }
}
