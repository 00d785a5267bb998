import Domain
import ServiceLink

/// The live sessions of one customer on this server, found by address and by user.
struct SessionTable {
    private var byAddress: [SessionAddress: (session: LiveSession, user: User.ID)] = [:]
    private var byUser: [User.ID: [SessionAddress]] = [:]
    private var connections: [UInt64: (connection: LinkConnection, count: Int)] = [:]

    var isEmpty: Bool { byAddress.isEmpty }
    var count: Int { byAddress.count }
    var all: [LiveSession] { byAddress.values.map(\.session) }

    func of(_ user: User.ID) -> [SessionAddress] { byUser[user] ?? [] }

    /// Each that has a session here.
    var allConnections: [LinkConnection] { connections.values.map(\.connection) }

    func connection(_ id: UInt64) -> LinkConnection? { connections[id]?.connection }

    mutating func add(_ session: LiveSession, of user: User.ID) {
        remove(session.address)
        byAddress[session.address] = (session, user)
        byUser[user, default: []].append(session.address)
        connections[session.address.connection, default: (session.connection, 0)].count += 1
    }

    mutating func remove(_ address: SessionAddress) {
        guard let user = byAddress.removeValue(forKey: address)?.user else { return }
        byUser[user]?.removeAll { $0 == address }
        if byUser[user]?.isEmpty == true { byUser[user] = nil }
        connections[address.connection]?.count -= 1
        if connections[address.connection]?.count == 0 { connections[address.connection] = nil }
    }

    mutating func removeAll(of connection: UInt64) {
        for address in byAddress.keys where address.connection == connection { remove(address) }
    }
}
