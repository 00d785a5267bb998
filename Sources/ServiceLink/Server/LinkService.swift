/// What answers the requests of a `LinkServer`.
package protocol LinkService: Sendable {
    /// Takes all requests that one read of the connection brought, in order; called on its event loop, must
    /// not block.
    ///
    /// Each request with an id other than 0 is answered by one response with that id, in any order, from any
    /// thread.
    func received(_ requests: [LinkRequest], from connection: LinkConnection)

    /// The connection is gone, and with it all sessions attached through it; nothing comes from it any more.
    func closed(_ connection: LinkConnection)
}
