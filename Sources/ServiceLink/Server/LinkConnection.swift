/// One client process's connection, as its server sees it; safe to use from any thread.
///
/// What one thread sends arrives in the order of its calls. Sends are coalesced: one write per event-loop tick.
package final class LinkConnection: Sendable, Identifiable {
    /// Unique in this process.
    package let id: UInt64
    /// The client's name from its hello and its address, for logs.
    package let peer: String

    init(id: UInt64, peer: String) {
        self.id = id
        self.peer = peer
    }

    package func send(_ response: LinkResponse) {}

    package func send(_ responses: [LinkResponse]) {}

    package func send(_ delivery: LinkDelivery) {}

    package func send(frame: LinkFrame) {}

    /// Closes the connection; its client goes to another server.
    package func close() {}
}
