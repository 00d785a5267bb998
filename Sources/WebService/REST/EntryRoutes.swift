import Domain
import Hummingbird
import ServiceLifecycle
import ServiceLink

/// The long poll, for integrations without a WebSocket.
struct EntryRoutes: Sendable {
    let calls: ServiceCalls
    let limits: WebServiceLimits
    let polls: LongPolls

    /// How many entries one answer holds at most.
    private static let pageLimit: UInt32 = 500

    func register(on routes: inout Routes) { routes.on(ServiceAPI.entries, entries) }

    @Sendable private func entries(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let wait = try request.number("wait", in: 0...Int64(limits.longPollSeconds)) ?? 0
        var read = LinkReadLog()
        read.cursor = try cursor(of: request)
        read.limit = Self.pageLimit
        let first = try await calls.readLog(read, token)
        guard read.hasCursor_p, wait > 0, first.isQuiet else { return try .json(LogPageBody(first)) }
        let cursor = first.cursor
        let query = read
        let page = try await polls.waiting(token, from: cursor, on: calls.pool) { poll in
            try await next(after: first, query, token, poll, until: .now + .seconds(wait))
        }
        return try .json(LogPageBody(page))
    }

    /// Waits until the servers' feed has something, the time is over, or this server goes; and looks what it is.
    private func next(
        after first: LinkLogPage, _ query: LinkReadLog, _ token: SessionToken, _ poll: LongPoll,
        until end: ContinuousClock.Instant
    ) async throws -> LinkLogPage {
        var page = first
        var query = query
        while page.isQuiet, !Task.isShuttingDownGracefully, !Task.isCancelled {
            let left = end - .now
            guard left > .zero else { break }
            try await poll.sleep(for: left)
            query.cursor = page.cursor
            page = try await calls.readLog(query, token)
        }
        return page
    }

    private func cursor(of request: Request) throws(Refusal) -> LogCursor? {
        guard let text = try request.query("after"), !text.isEmpty else { return nil }
        guard let cursor = LogCursor(text) else {
            throw Refusal(
                .badRequest, "`after` must be a cursor as a server gave it (EPOCH.POSITION.FINGERPRINT).")
        }
        return cursor
    }
}

extension LinkLogPage {
    /// Whether there is nothing in it for a client.
    fileprivate var isQuiet: Bool { entries.isEmpty && !resync }
}
