import Domain
import Logging
import ServiceLink
import Store

/// What happens when the database has not everything any more that clients have seen.
///
/// With synchronous replication that does not happen. After a failover without it, or a restore, entries are gone, and
/// others will stand at their positions: a client that counts on its cursor would miss those for ever. So the log gets
/// a new epoch, and every session loads it anew.
///
/// That the log is as long as before, or longer, proves nothing: it may have grown again. What is compared is the
/// entry at the position followed, by its mark: each second, with every reading on, before the first append after one
/// that failed, and before an own commit is followed whose answer came over a new connection.
extension CustomerFeed {
    /// Returns when it is certain that the log goes on where it was, or that everybody has been told that it does not.
    nonisolated func verified() async throws {
        try await withCheckedThrowingContinuation { tell(.verify($0)) }
    }

    func verify() async throws {
        guard let known = head else { return }
        isProven = false
        guard let found = try await store.heads(of: [customer: position])[customer] else {
            throw StoreError.noSuchCustomer("\(customer)")
        }
        if markedHead(in: known.epoch).isContradicted(by: found) {
            if found.head.epoch == known.epoch {
                Logger.current.error(
                    "The database has lost entries of a log; it begins a new epoch, and clients load it anew",
                    metadata: [
                        "customer.id": "\(customer)", "log.followed": "\(position)",
                        "log.head": "\(found.head.position)",
                    ])
                try await store.beginNewEpoch(of: customer, after: known.epoch)
            }
            beginAnew(at: try await store.markedHead(of: customer))
        }
        isProven = true
    }

    func markedHead(in epoch: LogEpoch) -> MarkedHead {
        MarkedHead(head: LogHead(epoch: epoch, position: position), mark: mark)
    }

    /// Follows another log from here on; what was kept of the old one is forgotten.
    private func beginAnew(at end: MarkedHead) {
        let found = end.head
        head = found
        position = found.position
        mark = end.mark
        toldFollowed = position
        stash.removeAll()
        tail.removeAll()
        tailSize = 0
        threads.removeAll()
        for (_, sessions) in Dictionary(grouping: sessions.all, by: \.connection.id) {
            var notice = LinkSessionEnded()
            notice.sessions = sessions.map(\.address.session)
            notice.code = "resync"
            notice.cursor = end.cursor
            var frame = LinkFrame()
            frame.sessionEnded = notice
            sessions.first?.connection.send(frame: frame)
        }
    }
}
