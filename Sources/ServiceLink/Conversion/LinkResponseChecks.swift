import Domain

// What a server says: each kind of answer and push, with the range of each of its numbers. A server of a newer version, or
// one that is none, must not harm the process that listens to it.

extension LinkResponse {
    /// Looks at every field, before anything is done with one.
    /// - Throws: the field that is out of range.
    package func check() throws(LinkFault) {
        switch body {
        case .accepted(let accepted), .threadCreated(let accepted): try accepted.check()
        case .attached(let attached):
            try attached.identity.check()
            try LinkRange.check(attached.position, "position", in: LogRange.positions)
        case .loggedIn(let answer): try answer.check()
        case .identity(let identity): try identity.check()
        case .users(let found): for user in found.users { try user.check() }
        case .inbox(let inbox):
            try LinkRange.check(inbox.position, "position", in: LogRange.positions)
            for thread in inbox.threads { try thread.check() }
            try LinkRange.check(inbox.next, "next", in: LogRange.positions)
        case .thread(let thread): try thread.check()
        case .history(let history): for entry in history.entries { try entry.check() }
        case .messageDetails(let details):
            try details.entry.check()
            for receipt in details.receipts { try receipt.check() }
        case .logPage(let page):
            try LinkRange.check(page.position, "position", in: LogRange.positions)
            for entry in page.entries { try entry.check() }
        case .status(let status): try LinkRange.check(status.server, "server", in: LinkRange.idsOrNone)
        case .cluster(let cluster): try cluster.check()
        case .refused, .done, nil: break
        }
    }

    /// What is wrong with it; nil when nothing is.
    var fault: LinkFault? {
        do throws(LinkFault) { try check() } catch { return error }
        return nil
    }
}

extension LinkFrame.OneOf_Kind {
    /// What is wrong with what a server pushes; nil when nothing is. Answers are looked at where it is known to what.
    var pushedFault: LinkFault? {
        do throws(LinkFault) {
            switch self {
            case .delivery(let delivery): for item in delivery.items { try item.entry.check() }
            case .sessionEnded(let notice):
                try LinkRange.check(notice.position, "position", in: LogRange.positions)
            case .followed(let followed):
                try LinkRange.check(followed.customer, "customer", in: LinkRange.idsOrNone)
                try LinkRange.check(followed.position, "position", in: LogRange.positions)
            case .hello, .request, .response, .ping, .pong, .draining: break
            }
        } catch { return error }
        return nil
    }
}

extension LinkAccepted {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(position, "position", in: LogRange.positions)
        try LinkRange.check(number, "number", in: LogRange.numbersOrNone)
        try LinkRange.check(at, "at", in: Timestamp.range)
        if hasThread { try thread.check() }
    }
}

extension LinkLoggedIn {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(session, "session", in: LinkRange.idsOrNone)
        try identity.check()
        try LinkRange.check(expiresAt, "expires_at", in: Timestamp.range)
    }
}

extension LinkIdentity {
    fileprivate func check() throws(LinkFault) {
        try user.check()
        try LinkRange.check(customer, "customer", in: LinkRange.idsOrNone)
        try LinkRange.check(device, "device", in: LinkRange.idsOrNone)
    }
}

extension LinkUser {
    fileprivate func check() throws(LinkFault) { try LinkRange.check(id, "id", in: LinkRange.idsOrNone) }
}

extension LinkThread {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(id, "id", in: LinkRange.idsOrNone)
        try LinkRange.check(lastNumber, "last_number", in: LogRange.numbersOrNone)
        try LinkRange.check(lastPosition, "last_position", in: LogRange.positions)
        try LinkRange.check(lastShownPosition, "last_shown_position", in: LogRange.positions)
        try LinkRange.check(firstUnreadUrgent, "first_unread_urgent", in: LogRange.numbersOrNone)
        try LinkRange.check(delivered, "delivered", in: LogRange.numbersOrNone)
        try LinkRange.check(read, "read", in: LogRange.numbersOrNone)
        try LinkRange.check(unread, "unread", in: LogRange.numbersOrNone)
        for participant in participants { try participant.check() }
        if hasLast { try last.check() }
    }
}

extension LinkParticipant {
    fileprivate func check() throws(LinkFault) {
        try user.check()
        try LinkRange.check(joined, "joined", in: LogRange.numbersOrNone)
        try LinkRange.check(left, "left", in: LogRange.numbersOrNone)
        for stay in earlier {
            try LinkRange.check(stay.joined, "joined", in: LogRange.numbersOrNone)
            try LinkRange.check(stay.left, "left", in: LogRange.numbersOrNone)
        }
        try LinkRange.check(delivered, "delivered", in: LogRange.numbersOrNone)
        try LinkRange.check(read, "read", in: LogRange.numbersOrNone)
    }
}

extension LinkMessageReceipt {
    fileprivate func check() throws(LinkFault) {
        try user.check()
        try LinkRange.check(deliveredAt, "delivered_at", in: Timestamp.range)
        try LinkRange.check(readAt, "read_at", in: Timestamp.range)
    }
}

extension LinkEntry {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(position, "position", in: LogRange.positions)
        try LinkRange.check(thread, "thread", in: LinkRange.idsOrNone)
        try LinkRange.check(number, "number", in: LogRange.numbersOrNone)
        try LinkRange.check(author, "author", in: LinkRange.idsOrNone)
        try LinkRange.check(device, "device", in: LinkRange.idsOrNone)
        try LinkRange.check(at, "at", in: Timestamp.range)
    }
}

extension LinkCluster {
    fileprivate func check() throws(LinkFault) {
        for server in servers {
            try LinkRange.check(server.id, "id", in: LinkRange.idsOrNone)
            try LinkRange.check(server.lastActive, "last_active", in: Timestamp.range)
            try LinkRange.check(server.slot, "slot", in: LinkRange.idsOrNone)
            try LinkRange.check(server.startedAt, "started_at", in: Timestamp.range)
            try LinkRange.check(server.silentMilliseconds, "silent_milliseconds", in: LinkRange.silences)
            try LinkRange.check(server.stoppedAt, "stopped_at", in: Timestamp.range)
        }
        for standby in replication.standbys {
            try LinkRange.check(standby.lagBytes, "lag_bytes", in: LinkRange.amountsOrUnknown)
            try LinkRange.check(standby.lagMilliseconds, "lag_milliseconds", in: LinkRange.amountsOrUnknown)
        }
    }
}
