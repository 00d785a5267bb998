package import Domain

/// Takes what the servers push for all sessions of a `LinkPool`.
package protocol LinkPoolEvents: AnyObject, Sendable {
    /// Takes entries in log order, each with the sessions that are to get it; one call per frame and log.
    ///
    /// Closed sessions and what a session had already are left out. Called on the pool's event loop; must not
    /// block.
    func deliver(_ items: [LinkDelivery.Item], epoch: LogEpoch)

    /// What a customer's log gained up to here, and concerned a session that is attached at the server which says this, has
    /// been delivered.
    func followed(_ customer: Int64, to cursor: LogCursor)
}

extension LinkPoolEvents {
    package func followed(_ customer: Int64, to cursor: LogCursor) {}
}

/// Takes what happens to one live session; called on the pool's event loop, must not block.
package protocol LinkSessionSink: AnyObject, Sendable {
    /// The session is attached for the first time; what came before the position given follows as deliveries.
    func attached(_ attached: LinkAttached)

    /// The session is attached to this server now: for the first time, or after it has moved.
    func moved(to server: BindAddress)

    /// The session goes on live from the cursor, and what lies before it must be loaded anew.
    /// - Parameter otherLog: what was delivered before may be of another history of the log.
    func resync(at cursor: LogCursor, otherLog: Bool)

    /// The session is over: its token is void.
    func ended(_ refusal: Refusal)
}
