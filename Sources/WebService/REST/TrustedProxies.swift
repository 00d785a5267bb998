import Foundation
import TransportSecurity

/// The proxies whose `X-Forwarded-For` is believed: who else sends one could name any address.
package struct TrustedProxies: Hashable, Sendable {
    private var addresses: Set<IPAddress> = []

    /// Believes nobody.
    package init() {}

    /// Reads addresses separated by commas; the error says which entry is wrong and what is expected.
    package init(_ text: String) throws(TrustedProxiesError) {
        for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
            let entry = entry.trimmingCharacters(in: .whitespaces)
            guard let address = Self.address(entry) else { throw TrustedProxiesError(entry: entry) }
            addresses.insert(address)
        }
    }

    func contains(_ text: String) -> Bool { Self.address(text).map(addresses.contains) ?? false }

    /// The client of a request: who stands last in `X-Forwarded-For` and is no proxy; nil when nobody does.
    func client(forwarded names: [String]) -> String? { names.last { !$0.isEmpty && !contains($0) } }

    /// A socket for both kinds of addresses says `::ffff:10.0.0.1` of a peer at 10.0.0.1.
    private static func address(_ text: String) -> IPAddress? {
        let mapped = "::ffff:"
        guard text.lowercased().hasPrefix(mapped) else { return IPAddress(text) }
        return IPAddress(String(text.dropFirst(mapped.count))) ?? IPAddress(text)
    }
}

/// An entry of the list of trusted proxies that is no address.
package struct TrustedProxiesError: Error, Hashable, Sendable, CustomStringConvertible {
    let entry: String

    package var description: String {
        "‘\(entry)’ is no IP address; expected the addresses of the load balancers without ports, each by itself "
            + "(no names, no networks), for example 10.0.0.21,10.0.0.22"
    }
}
