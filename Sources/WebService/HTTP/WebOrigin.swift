/// A name or address with or without a port, as in `Host` and in URLs.
struct Authority: Hashable, Sendable {
    /// In lower case; an IPv6 address in brackets.
    let host: String
    let port: Int?

    /// Reads the text form; nil when it is none. Whoever is named before an `@` is not of it.
    init?(_ text: String) {
        let end =
            text.hasPrefix("[")
            ? text.firstIndex(of: "]").map { text.index(after: $0) } : text.firstIndex(of: ":")
        let name = text[..<(end ?? text.endIndex)]
        let rest = text[name.endIndex...]
        guard !name.isEmpty, name.utf8.allSatisfy(Self.isAllowed) else { return nil }
        guard text.hasPrefix("[") ? name.count > 2 && name.hasSuffix("]") : !name.contains("[") else {
            return nil
        }
        guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
        let digits = rest.dropFirst()
        let number = Int(digits)
        guard
            digits.isEmpty
                || digits.utf8.allSatisfy({ (48...57).contains($0) }) && (0...65_535).contains(number ?? -1)
        else { return nil }
        host = name.lowercased()
        port = digits.isEmpty ? nil : number
    }

    /// Letters, digits, and what else RFC 3986 lets a name and an address have.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~%!$&'()*+,;=[]:".utf8.contains(byte)
        }
    }
}

/// Where a page comes from (RFC 6454): scheme, host and port, compared as such and not as texts.
struct WebOrigin: Hashable, Sendable {
    let isSecure: Bool
    let host: String
    let port: Int

    /// The site that `Host` names, asked by HTTPS or HTTP; nil when it names none.
    init?(host text: String, isSecure: Bool) {
        guard let authority = Authority(text) else { return nil }
        self.isSecure = isSecure
        host = authority.host
        port = authority.port ?? (isSecure ? 443 : 80)
    }

    /// Reads `https://host:port` or `http://host:port`, the port left out where it is the scheme's own; nil when it is neither.
    init?(_ text: String) {
        let lowered = text.lowercased()
        for (scheme, isSecure) in [("https://", true), ("http://", false)] where lowered.hasPrefix(scheme) {
            self.init(host: String(lowered.dropFirst(scheme.count)), isSecure: isSecure)
            return
        }
        return nil
    }
}
