import Domain

/// Entries that a server pushes: passed on once per session, whatever was repeated after a move.
extension PoolCore {
    /// Hands the frame's items on in one call, or one per log where several logs share the frame.
    func received(_ delivery: LinkDelivery, on connection: ServerConnection) {
        let items = delivery.items
        var kept: [LinkDelivery.Item] = []
        /// Until something is left out, the frame's own array will do.
        var isWhole = true
        var epoch: LogEpoch?
        for index in items.indices {
            let verdict = advance(items[index], on: connection)
            let changesLog = verdict.epoch != nil && epoch != nil && verdict.epoch != epoch
            if isWhole, !changesLog, verdict.epoch != nil, verdict.kept == nil {
                epoch = verdict.epoch
                continue
            }
            if isWhole {
                kept = Array(items[..<index])
                isWhole = false
            }
            guard let itemEpoch = verdict.epoch else { continue }
            if changesLog, let epoch, !kept.isEmpty {
                events.deliver(kept, epoch: epoch)
                kept = []
            }
            epoch = itemEpoch
            var item = items[index]
            if let sessions = verdict.kept { item.sessions = sessions }
            kept.append(item)
        }
        let rest = isWhole ? items : kept
        if let epoch, !rest.isEmpty { events.deliver(rest, epoch: epoch) }
    }

    /// Moves the cursors of the item's sessions.
    ///
    /// - Returns: the log's epoch, nil when no session is to get the item; and the sessions that are to get
    ///   it, nil when that is all of them.
    private func advance(
        _ item: LinkDelivery.Item, on connection: ServerConnection
    ) -> (epoch: LogEpoch?, kept: [UInt64]?) {
        let position = item.entry.position
        let fingerprint = CursorFingerprint(item.entry.mark)
        let ids = item.sessions
        var epoch: LogEpoch?
        var kept: [UInt64]?
        for (index, id) in ids.enumerated() {
            if let found = advance(id, to: position, fingerprint, on: connection) {
                epoch = found
                kept?.append(id)
            } else if kept == nil {
                kept = Array(ids[..<index])
            }
        }
        return (epoch, kept)
    }

    /// The epoch of the session's log when it has not had the position; nil when it had, or is not here.
    private func advance(
        _ id: UInt64, to position: LogPosition, _ fingerprint: CursorFingerprint,
        on connection: ServerConnection
    ) -> LogEpoch? {
        guard let session = sessions[id], case .attached(let current) = session.phase, current === connection,
            let cursor = session.cursor, position > cursor.position
        else { return nil }
        session.cursor = LogCursor(epoch: cursor.epoch, position: position, fingerprint: fingerprint)
        return cursor.epoch
    }

    /// Moves on the cursors of sessions to which nothing happened, so that another server need not look through all that
    /// the log gained meanwhile.
    ///
    /// What concerned one of them came before on the same connection. One that is only being attached is not meant: what
    /// it missed is still to come.
    func received(_ followed: LinkFollowed, on connection: ServerConnection) {
        let furthest = followed.cursor
        for session in sessions.values where session.customer == followed.customer {
            guard case .attached(let current) = session.phase, current === connection,
                let cursor = session.cursor, cursor.epoch == furthest.epoch,
                cursor.position < furthest.position
            else { continue }
            session.cursor = furthest
        }
        events.followed(followed.customer, to: furthest)
    }
}
