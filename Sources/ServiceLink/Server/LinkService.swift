/// What answers the requests of a `LinkServer`.
///
/// Rules that the calling end relies on:
/// - Each request with an id other than 0 is answered by one response with that id, in any order, from any
///   thread; one with the id 0 is not answered (`MarkReceipt` and `Detach` come so).
/// - `GetStatus` is answered at once; a state other than `active` keeps sessions and requests away.
/// - `unavailable` as a refusal makes the caller leave this server for a moment, with all its sessions.
/// - After `Attached`, a session gets its entries in log order: first what came between its cursor and the
///   position given, then live. What comes out of order is taken for a repetition and left out.
/// - A session number may be detached and attached again on the same connection.
package protocol LinkService: Sendable {
    /// Takes all requests that one read of the connection brought, in order.
    ///
    /// Called on the connection's event loop; must not block.
    func received(_ requests: [LinkRequest], from connection: LinkConnection)

    /// The connection is gone, and with it all sessions attached through it; nothing comes from it any more.
    func closed(_ connection: LinkConnection)
}
