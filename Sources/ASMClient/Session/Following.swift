import Domain

extension MessagingClient {
    /// How many entries a page of history has.
    static let historyPage = 500
    /// How many entries of one thread are loaded after a resync before it is left to the app.
    static let resyncEntryLimit = 10_000

    /// Takes over entries: each once, in order, with what was missing before them.
    func take(_ entries: [LogEntry], cursor: LogCursor) async throws {
        if entries.contains(where: ownMessages.contradict) { try await resync(at: cursor, otherLog: true) }
        let found = try await undoing {
            var fresh: [LogEntry] = []
            for entry in entries where note(entry) {
                fresh.append(entry)
                if state.progress[entry.thread]?.hole != nil { suspects.insert(entry.thread) }
            }
            var found = try await loadHoles()
            found.entries = fresh + found.entries
            return found
        }
        emit(found)
        state.cursor = cursor
    }

    /// Loads what is missing wherever it cannot be an unanswered message of one's own any more.
    func fillSuspects() async throws {
        guard !suspects.isEmpty else { return }
        emit(try await undoing { try await loadHoles() })
    }

    /// Catches up by the inbox and the threads' history where the server cannot send what was missed.
    ///
    /// The cursor moves only at the end: a failure in between leads to another resync, not to a gap.
    func resync(at cursor: LogCursor, otherLog: Bool) async throws {
        guard let old = state.cursor, old.epoch == cursor.epoch, !otherLog else {
            // Another log, or none before: numbers of the past say nothing about it.
            let isFirst = state.cursor == nil
            state.progress = [:]
            ownMessages = OwnMessages()
            suspects = []
            state.cursor = cursor
            if isFirst { settled = state } else { eventBuffer.push(.resynced(isComplete: false)) }
            return
        }
        var isComplete = true
        var before: LogPosition?
        repeat {
            let page = try await web.inbox(before: before, limit: 200, token: token)
            for thread in page.threads where thread.lastPosition > old.position {
                let missed = try await entries(of: thread.id.id, after: old.position)
                isComplete = isComplete && missed.isComplete
                emit(missed.entries.filter { note($0) })
                state.progress[thread.id.id]?.giveUpHole()
            }
            let reachesBack = page.threads.contains { $0.lastPosition <= old.position }
            before = reachesBack ? nil : page.next
        } while before != nil
        suspects = []
        state.cursor = cursor
        eventBuffer.push(.resynced(isComplete: isComplete))
    }

    /// A thread's entries after a position of the log, in order, read backwards from its end.
    private func entries(
        of thread: MessageThread.ID, after position: LogPosition
    ) async throws -> (entries: [LogEntry], isComplete: Bool) {
        var pages: [[LogEntry]] = []
        var count = 0
        var range = HistoryRange.newest
        while count < Self.resyncEntryLimit {
            let page = try await history(of: thread, range)
            let missed = page.entries.filter { $0.position > position }
            pages.append(missed)
            count += missed.count
            guard let first = page.entries.first?.number, page.hasMore, missed.count == page.entries.count
            else {
                return (pages.reversed().flatMap { $0 }, true)
            }
            range = .before(first)
        }
        return (pages.reversed().flatMap { $0 }, false)
    }

    /// What was found where something was missing.
    private struct Found {
        var entries: [LogEntry] = []
        /// Threads and numbers that cannot be had.
        var missing: [(thread: MessageThread.ID, numbers: ClosedRange<EntryNumber>)] = []
    }

    /// Does work that notes entries before the app has them; when it fails, nothing was noted.
    ///
    /// Otherwise they would be taken for known when the server sends them again, and the app never get them.
    private func undoing(_ work: () async throws -> Found) async throws -> Found {
        let (progress, old) = (state.progress, suspects)
        do {
            return try await work()
        } catch {
            state.progress = progress
            suspects = old
            throw error
        }
    }

    private func loadHoles() async throws -> Found {
        var found = Found()
        for thread in suspects where outbox.unanswered(in: thread) == 0 {
            try await loadHole(of: thread, into: &found)
            suspects.remove(thread)
        }
        return found
    }

    /// Loads a thread's hole page by page; pages may be shorter than asked for, and only an empty one ends it.
    private func loadHole(of thread: MessageThread.ID, into found: inout Found) async throws {
        var after = (state.progress[thread]?.hole?.lowerBound ?? 1) - 1
        while let hole = state.progress[thread]?.hole, after < hole.upperBound {
            do {
                let page = try await history(of: thread, .after(after))
                found.entries += page.entries.filter { note($0) }
                guard let last = page.entries.last?.number, last > after else { break }
                after = last
            } catch let error as MessagingError where error.code == Refusal.Code.notFound.rawValue {
                // The user cannot see the thread any more: asking again after a reconnect would never end.
                break
            }
        }
        guard let hole = state.progress[thread]?.hole else { return }
        found.missing.append((thread, hole))
        state.progress[thread]?.giveUpHole()
    }

    /// A page of history, asked for shorter while the server says that it is too large.
    private func history(
        of thread: MessageThread.ID, _ range: HistoryRange
    ) async throws -> WebAnswer.History {
        var limit = Self.historyPage
        while true {
            do {
                return try await web.history(of: thread, range, limit: limit, token: token)
            } catch let error as MessagingError
                where error.code == Refusal.Code.tooLarge.rawValue && limit > 1
            {
                limit /= 2
            }
        }
    }

    private func emit(_ found: Found) {
        for (thread, numbers) in found.missing {
            eventBuffer.push(.missing(thread: ThreadID(thread), numbers: numbers))
        }
        emit(found.entries)
    }

    /// Notes an entry in its thread's progress; false when it is known already.
    private func note(_ entry: LogEntry) -> Bool {
        guard let number = entry.number else { return false }
        if case .added(let users) = entry.content, let user, users.contains(user) {
            // What happened while the user was not in the thread is not theirs to see.
            state.progress[entry.thread]?.restart(at: number)
        }
        guard state.progress[entry.thread] != nil else {
            state.progress[entry.thread] = ThreadProgress(firstEntry: number)
            return true
        }
        return state.progress[entry.thread]?.take(entry: number) ?? true
    }

    private func emit(_ entries: [LogEntry]) {
        guard !entries.isEmpty else { return }
        let sorted = entries.sorted { $0.position < $1.position }
        eventBuffer.push(.entries(sorted.compactMap(Entry.init)))
        guard configuration.sendsDelivered else { return }
        for entry in entries where entry.author != user {
            let delivered = state.progress[entry.thread]?.contiguous ?? 0
            marks[entry.thread] = (delivered, marks[entry.thread]?.read)
        }
    }
}
