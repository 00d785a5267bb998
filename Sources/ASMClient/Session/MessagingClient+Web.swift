import Domain

extension MessagingClient {
    /// Finds people of the own organisation by their exact log-in names; unknown ones are left out.
    public func people(logins: [String]) async throws -> [Person] {
        try await web.users(logins: logins, token: token)
    }

    /// Finds people of the own organisation by a part of their name, sorted by name.
    public func people(matching text: String, limit: Int = 50) async throws -> [Person] {
        try await web.users(search: text, limit: limit, token: token)
    }

    /// Starts a thread with others.
    public func createThread(with participants: [UserID], subject: String? = nil) async throws -> ThreadID {
        let thread = try await web.createThread(
            id: .random(), participants: participants.map(\.id), subject: subject, token: token)
        return ThreadID(thread)
    }

    /// A page of the inbox, newest thread first.
    /// - Parameter next: of the page before; nil for the first page.
    public func inbox(after next: Int64? = nil, limit: Int = 50) async throws -> InboxPage {
        let page = try await web.inbox(before: next, limit: limit, token: token)
        return InboxPage(threads: page.threads, next: page.next)
    }

    /// A thread with all its participants, who have their log-in names here.
    public func thread(_ id: ThreadID) async throws -> ThreadSummary {
        try await web.thread(id.id, token: token)
    }

    /// The last entries of a thread, or the last before a number, in ascending order.
    public func history(
        of thread: ThreadID, before number: Int64? = nil, limit: Int = 100
    ) async throws -> [Entry] {
        let range = number.map(HistoryRange.before) ?? .newest
        return try await web.history(of: thread.id, range, limit: limit, token: token).entries
            .compactMap(Entry.init)
    }

    /// Takes back a message of one's own.
    public func recall(_ number: Int64, in thread: ThreadID) async throws -> StoredReceipt {
        try await web.recall(id: .random(), thread: thread.id, number: number, token: token)
    }

    /// Ends the session: the token is void on every server within a second.
    public func logOut() async throws { try await web.logOut(token: token) }
}
