import Domain
import Synchronization
import TransportSecurity

/// What all connections of the process keep in memory of things that are not complete, and how many there are of each client.
///
/// Counted are unfinished heads, the bodies of requests until they are answered, and unfinished live frames: what who
/// has not logged in could fill the memory with. A client is an address, or a /64 network of IPv6, which one person has.
final class HeldBytes: Sendable {
    fileprivate struct Client {
        var bytes = 0
        var connections = 0
    }

    fileprivate struct State {
        var bytes = 0
        var clients: [String: Client] = [:]
    }

    private let state = Mutex(State())
    private let limits: WebServiceLimits

    init(limits: WebServiceLimits) { self.limits = limits }

    /// Counts a connection; false when its client has too many.
    func enter(_ client: String) -> Bool {
        state.withLock { state in
            guard state.clients[client, default: Client()].connections < limits.connectionsPerClient else {
                return false
            }
            state.clients[client, default: Client()].connections += 1
            return true
        }
    }

    func leave(_ client: String) {
        state.withLock { state in
            state.clients[client]?.connections -= 1
            state.forgetIfGone(client)
        }
    }

    /// Counts `new` bytes in the place of `old`, which is always done where it is less; a refusal changes nothing.
    ///
    /// The last quarter of both limits is kept for connections that hold little, so that large requests of a few hold up
    /// nobody's small ones.
    func change(_ old: Int, to new: Int, of client: String?) -> Refusal? {
        state.withLock { state in
            let more = new - old
            if more > 0 {
                let part = new > limits.smallBytes ? 3 : 4
                if state.bytes + more > limits.heldBytes / 4 * part { return Self.full }
                if let client,
                    state.clients[client, default: Client()].bytes + more > limits.heldBytesPerClient / 4
                        * part
                {
                    return Self.tooMuch
                }
            }
            state.bytes += more
            guard let client else { return nil }
            state.clients[client, default: Client()].bytes += more
            state.forgetIfGone(client)
            return nil
        }
    }

    /// How many bytes are held in all.
    var bytes: Int { state.withLock { $0.bytes } }

    private static let full = Refusal(
        .unavailable, "This server holds as many unfinished requests as it may; try again soon.",
        retryAfterMilliseconds: 1_000)
    private static let tooMuch = Refusal(
        .tooManyRequests, "Too many unfinished requests come from this address; finish some first.",
        retryAfterMilliseconds: 1_000)
}

extension HeldBytes.State {
    fileprivate mutating func forgetIfGone(_ client: String) {
        if let found = clients[client], found.bytes == 0, found.connections <= 0 { clients[client] = nil }
    }
}

/// One connection's part of what is held. Used on its event loop only.
final class ConnectionShare {
    private let budget: HeldBytes
    private var client: String?
    private var bytes = 0
    private var counted: String?

    /// - Parameter client: nil for a trusted proxy, whose connections are everybody's and are not counted.
    init(budget: HeldBytes, client: String?) {
        self.budget = budget
        self.client = client
    }

    /// False when the client has too many connections and this one must go.
    func enter() -> Bool {
        guard let client else { return true }
        guard budget.enter(client) else { return false }
        counted = client
        return true
    }

    /// What it holds counts as this client's from here on.
    func speaks(for client: String?) {
        guard client != self.client else { return }
        let held = bytes
        _ = hold(0)
        self.client = client
        _ = hold(held)
    }

    /// Says how many bytes it holds now; the refusal when that is too much.
    func hold(_ bytes: Int) -> Refusal? {
        guard bytes != self.bytes else { return nil }
        if let refusal = budget.change(self.bytes, to: bytes, of: client) { return refusal }
        self.bytes = bytes
        return nil
    }

    /// Whoever has logged in is known: many of a hospital's people may come from one address, and strangers, too. What it
    /// holds counts in all, and no longer as the address's.
    func loggedIn() {
        leave()
        speaks(for: nil)
    }

    private func leave() {
        if let counted { budget.leave(counted) }
        counted = nil
    }

    func end() {
        leave()
        _ = hold(0)
    }
}

extension String {
    /// The client that an address stands for; nil when it is none.
    var clientOfAddress: String? {
        switch IPAddress(self) {
        case .v4(let bytes): return Self.dotted(bytes)
        case .v6(let bytes):
            let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            guard !bytes.starts(with: mapped) else { return Self.dotted(bytes.suffix(4)) }
            return bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":") + "/64"
        case nil: return nil
        }
    }

    private static func dotted(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String($0) }.joined(separator: ".")
    }
}
