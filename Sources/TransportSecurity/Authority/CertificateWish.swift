/// What a certificate is to say: for whom, for which hosts, for which role, for how long.
package struct CertificateWish: Hashable, Sendable {
    package typealias Role = CertificateRole

    /// Apps and browsers refuse certificates that are valid for longer than 398 days.
    package static let defaultDays = 397
    package static let hostLimit = 100

    package let name: String
    package let hosts: [String]
    package let role: Role
    package let days: Int

    /// - Parameter hosts: names or addresses under which the process is reached; its name when there are none.
    /// - Throws: `CertificateWishError`, which says what is wrong.
    package init(
        name: String, hosts: [String], role: Role, days: Int = defaultDays
    ) throws(CertificateWishError) {
        guard Self.isName(name), !name.contains(".."), name.lowercased() != "ca" else {
            throw .badName(name)
        }
        guard (1...CertificateAuthority.defaultDays).contains(days) else { throw .badDays(days) }
        let hosts = hosts.isEmpty ? [name] : hosts
        guard hosts.count <= Self.hostLimit else { throw .tooManyHosts }
        for host in hosts where IPAddress(host) == nil && !Self.isHost(host) { throw .badHost(host) }
        self.name = name
        self.hosts = hosts
        self.role = role
        self.days = days
    }

    /// It becomes the name of a file and a common name.
    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.first != "." && text.first != "-"
            && text.utf8.allSatisfy { isLetterOrDigit($0) || "-._".utf8.contains($0) }
    }

    private static func isHost(_ text: String) -> Bool {
        let rest = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
        guard (1...253).contains(rest.utf8.count) else { return false }
        let labels = rest.split(separator: ".", omittingEmptySubsequences: false)
        // Digits only: an address with a typo.
        guard !labels.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy {
                    isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                }
        }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

/// What is wrong with a wish for a certificate.
package enum CertificateWishError: Error, Hashable, Sendable, CustomStringConvertible {
    case badName(String)
    case badHost(String)
    case badDays(Int)
    case tooManyHosts

    package var description: String {
        switch self {
        case .badName(let name):
            "‘\(name)’ cannot be the name of a certificate; expected 1 to 64 letters, digits, ‘-’, ‘_’ and ‘.’, "
                + "and another name than ca"
        case .badHost(let host):
            "‘\(host)’ is neither a host name nor an IP address; expected for example asm1.example or 10.0.0.11, "
                + "without a port"
        case .badDays(let days):
            "a certificate cannot be valid for \(days) days; expected 1 to \(CertificateAuthority.defaultDays)"
        case .tooManyHosts: "a certificate takes at most \(CertificateWish.hostLimit) hosts"
        }
    }
}
