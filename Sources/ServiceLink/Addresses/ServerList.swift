/// The `Server` setting: the ASM Services to use, written `ServerA:PortA, ServerB:PortB`.
package struct ServerList: Hashable, Sendable, CustomStringConvertible {
    /// At least one, all different, in the order given.
    package let addresses: [BindAddress]

    /// Reads the text form: entries separated by commas, with or without spaces.
    package init(_ text: some StringProtocol) throws(ServerListError) {
        guard text.contains(where: { !$0.isWhitespace }) else { throw .empty }
        var addresses: [BindAddress] = []
        for (offset, part) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let entry = Self.trimmed(String(part))
            do {
                addresses.append(try BindAddress(entry))
            } catch {
                throw .invalidEntry(index: offset + 1, entry: entry, reason: error)
            }
        }
        try self.init(addresses)
    }

    /// Takes addresses as they are; refuses none, duplicates and port 0.
    package init(_ addresses: [BindAddress]) throws(ServerListError) {
        guard !addresses.isEmpty else { throw .empty }
        var seen: [BindAddress: Int] = [:]
        for (offset, address) in addresses.enumerated() {
            guard address.port > 0 else {
                let reason = BindAddressError.invalidPort("\(address)", port: "0")
                throw .invalidEntry(index: offset + 1, entry: "\(address)", reason: reason)
            }
            let key = address.canonical
            if let first = seen[key] {
                throw .duplicate(index: offset + 1, entry: "\(address)", firstIndex: first)
            }
            seen[key] = offset + 1
        }
        self.addresses = addresses
    }

    package var description: String { addresses.map(\.description).joined(separator: ", ") }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

/// What is wrong with a server list; indices count from 1, as people do.
package enum ServerListError: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case invalidEntry(index: Int, entry: String, reason: BindAddressError)
    case duplicate(index: Int, entry: String, firstIndex: Int)

    package var description: String {
        switch self {
        case .empty: "the server list is empty; expected HOST:PORT, HOST:PORT, …"
        case .invalidEntry(let index, let entry, .invalidPort(_, let port)) where port == "0":
            "server list, entry \(index) (‘\(entry)’): the port is 0; expected a port from 1 to 65535"
        case .invalidEntry(let index, _, .empty):
            "server list, entry \(index) is empty; expected HOST:PORT between commas"
        case .invalidEntry(let index, let entry, let reason):
            "server list, entry \(index) (‘\(entry)’): \(reason)"
        case .duplicate(let index, let entry, let firstIndex):
            "server list, entry \(index) (‘\(entry)’) is the same as entry \(firstIndex); name each once"
        }
    }
}
