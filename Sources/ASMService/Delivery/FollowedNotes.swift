import Domain
import ServiceLink
import Store

/// Says now and then how far the sessions of a connection have been delivered to, though nothing happened to them.
///
/// A web process attaches its sessions again with that when this server goes. Without it, one that is quiet would stand
/// where it was when something last concerned it, and would have to begin anew though it missed nothing.
extension CustomerFeed {
    /// So often that a quiet session never comes near `catchUpSpan`.
    static let followedEvery: LogPosition = catchUpSpan / 4

    /// Tells every connection, after what it had to be given, when the log has grown enough since the last time.
    func tellFollowed() {
        guard position - toldFollowed >= Self.followedEvery else { return }
        toldFollowed = position
        for connection in sessions.allConnections { tellFollowed(connection) }
    }

    func tellFollowed(_ connection: LinkConnection) {
        guard let head else { return }
        var followed = LinkFollowed()
        followed.customer = customer.rawValue
        followed.cursor = markedHead(in: head.epoch).cursor
        var frame = LinkFrame()
        frame.followed = followed
        connection.send(frame: frame)
    }
}
