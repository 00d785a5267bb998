import Domain
import ServiceLink
import Store

/// Requests that change nothing.
extension RequestRouter {
    /// Pages are cut at these sizes whatever the request asks for.
    static let inboxLimit = 200
    static let historyLimit = 500
    static let usersLimit = 200
    /// A page of entries ends earlier when its texts are longer: it shares the link with everybody's answers.
    static let pageBytes = 256 << 10

    /// As many entries from the start as make a page, at least one.
    static func fitting(_ entries: some Sequence<LogEntry>) -> [LogEntry] {
        var bytes = 0
        return entries.prefix { entry in
            defer { bytes += entry.textBytes }
            return bytes == 0 || bytes + entry.textBytes <= pageBytes
        }
    }

    func read(_ request: LinkRequest, _ caller: SessionRecord) async throws -> LinkResponse.OneOf_Body {
        let user = caller.user.id
        let customer = caller.user.customer
        switch request.body {
        case .whoAmI: return .identity(LinkIdentity(caller))
        case .findUsers(let wish): return .users(try await findUsers(wish, customer))
        case .getInbox(let wish):
            let page = try await store.inbox(
                of: user, at: customer, before: wish.before == 0 ? nil : wish.before,
                limit: wish.limit.page(atMost: Self.inboxLimit))
            return .inbox(LinkInbox(page))
        case .getThread(let wish):
            let view = try await store.thread(.init(rawValue: wish.thread), for: user, at: customer)
            guard let view else { throw AppendRefusal.notFound }
            return .thread(LinkThread(view))
        case .getHistory(let wish): return .history(try await history(wish, user, customer))
        case .getMessage(let wish):
            let found = try await store.message(
                wish.number, in: .init(rawValue: wish.thread), for: user, at: customer)
            guard let found else { throw AppendRefusal.notFound }
            var details = LinkMessageDetails()
            details.entry = LinkEntry(found.entry)
            details.receipts = found.receipts.map { LinkMessageReceipt($0) }
            return .messageDetails(details)
        case .readLog(let wish): return .logPage(try await readLog(wish, user, customer))
        default:
            throw Refusal(
                .badRequest, "This server does not know the request; it may be older than its caller.")
        }
    }

    /// A page of a thread, read in slices so that no more texts are read than it holds.
    private func history(
        _ wish: LinkGetHistory, _ user: User.ID, _ customer: Customer.ID
    ) async throws -> LinkHistory {
        let limit = wish.limit.page(atMost: Self.historyLimit)
        var page: HistoryPage =
            wish.forward ? .after(wish.after) : .before(wish.before == 0 ? nil : wish.before)
        // Beginning with the one that is nearest to where the page starts.
        var entries: [LogEntry] = []
        var bytes = 0
        var hasMore = true
        while hasMore, entries.count < limit, bytes < Self.pageBytes {
            let found = try await store.history(
                of: .init(rawValue: wish.thread), for: user, at: customer, page: page,
                limit: min(limit - entries.count, CustomerFeed.catchUpSlice))
            guard let found else { throw AppendRefusal.notFound }
            entries += wish.forward ? found.entries : found.entries.reversed()
            bytes += found.entries.reduce(0) { $0 + $1.textBytes }
            hasMore = found.more
            guard let number = entries.last?.number else { break }
            page = wish.forward ? .after(number) : .before(number)
        }
        let kept = Self.fitting(entries)
        var history = LinkHistory()
        history.entries = (wish.forward ? Array(kept) : kept.reversed()).map { LinkEntry($0) }
        history.more = hasMore || kept.count < entries.count
        return history
    }

    private func findUsers(_ wish: LinkFindUsers, _ customer: Customer.ID) async throws -> LinkUsers {
        // Nobody has a name with a NUL, and PostgreSQL's text cannot hold one.
        guard !wish.search.holdsNUL, !wish.logins.contains(where: \.holdsNUL) else { return LinkUsers() }
        let limit = wish.limit.page(atMost: Self.usersLimit)
        let found =
            wish.logins.isEmpty
            ? try await store.users(of: customer, containing: wish.search, limit: limit)
            : try await store.users(of: customer, logins: Array(wish.logins.prefix(Self.usersLimit)))
        var users = LinkUsers()
        users.users = found.map { LinkUser($0) }
        return users
    }

    private func readLog(
        _ wish: LinkReadLog, _ user: User.ID, _ customer: Customer.ID
    ) async throws -> LinkLogPage {
        let found = try await store.look(at: wish.cursor?.position ?? 0, of: customer)
        let head = found.head.head
        var page = LinkLogPage()
        page.cursor = found.head.cursor
        guard let cursor = wish.cursor else { return page }
        guard cursor.epoch == head.epoch, cursor.position <= head.position, cursor.mayStand(at: found.mark)
        else {
            page.resync = true
            page.otherLog = true
            return page
        }
        guard try await !isTooFarBehind(cursor, head, user, customer) else {
            page.resync = true
            return page
        }
        let most = CustomerFeed.catchUpEntries
        let limit = wish.limit == 0 ? most : wish.limit.page(atMost: most)
        // In slices, so that no more texts are read than a frame takes.
        var entries: [LogEntry] = []
        var from = cursor.position
        while entries.count <= limit {
            let slice = try await store.entries(
                for: user, of: customer, after: from, upTo: head.position, limit: CustomerFeed.catchUpSlice)
            entries += slice
            guard slice.count == CustomerFeed.catchUpSlice, let last = slice.last else { break }
            from = last.position
            guard Self.fitting(entries).count == entries.count else { break }
        }
        let kept = Self.fitting(entries.prefix(limit))
        if kept.count < entries.count, let last = kept.last {
            page.cursor = LogCursor(epoch: head.epoch, position: last.position, mark: last.mark)
        }
        page.entries = kept.map { LinkEntry($0) }
        return page
    }

    /// Decided from how far the log has grown, before anything of it is read; only where that leaves it open are the
    /// user's own entries counted, up to the limit.
    private func isTooFarBehind(
        _ cursor: LogCursor, _ head: LogHead, _ user: User.ID, _ customer: Customer.ID
    ) async throws -> Bool {
        let behind = head.position - cursor.position
        guard behind <= CustomerFeed.catchUpSpan else { return true }
        guard behind > CustomerFeed.catchUpEntries else { return false }
        let count = try await store.entryCount(
            for: user, of: customer, after: cursor.position, upTo: head.position,
            limit: CustomerFeed.catchUpEntries + 1)
        return count > CustomerFeed.catchUpEntries
    }
}
