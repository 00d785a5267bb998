import Domain
import Foundation
import Synchronization
import Testing

/// The history of a running test, written by many at once.
final class Record: Sendable {
    /// How long what was acknowledged may take to be seen by everybody.
    private static let patience = Duration.seconds(15)

    private let history = Mutex(DeliveryHistory())

    var current: DeliveryHistory { history.withLock { $0 } }

    func add(_ send: DeliveryHistory.Send) { history.withLock { $0.sends.append(send) } }

    /// Takes over what only this test noted: rights to serve, or e-mails.
    func note(_ change: (inout DeliveryHistory) throws -> Void) rethrows {
        try history.withLock { try change(&$0) }
    }

    /// Reads a whole thread now, and notes what was there.
    func read(_ thread: MessageThread.ID, as person: Person, at web: Web) async throws {
        let invoked = ContinuousClock.now
        let lines = try await web.history(of: thread, as: person.login).map(DeliveryHistory.Line.init)
        let read = DeliveryHistory.Read(
            reader: person.name, source: "\(web)", thread: thread, invoked: invoked, answered: .now,
            lines: lines)
        history.withLock { $0.reads.append(read) }
    }

    /// How many messages were acknowledged.
    var acknowledged: Int {
        current.sends.count { send in
            if case .acknowledged = send.outcome { true } else { false }
        }
    }

    /// The longest time in which nothing was acknowledged between the first and the last acknowledgement.
    static func longestSilence(of people: [Person]) -> Duration {
        let times = people.flatMap(\.state.value.acknowledgements).sorted()
        return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? .zero
    }

    /// Expects that no promise was broken, as `check` finds.
    /// - Parameter report: what the servers said.
    func expectKept(
        _ talks: [Talk], at webs: [Web], _ report: Comment, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let history = try await complete(talks, at: webs)
        let broken = history.brokenPromises()
        guard !broken.isEmpty else { return }
        let file = try history.keep()
        Issue.record(
            """
            \(broken.count) promises broken: \(broken.prefix(8))
            \(HistorySummary(history)). `ASM_HISTORY=\(file) make check FILTER=HistoryFileTests` checks it again.
            \(report.rawValue)
            """, sourceLocation: sourceLocation)
    }

    /// The promises that were broken, for a test that expects some.
    func brokenPromises(_ talks: [Talk], at webs: [Web]) async throws -> [BrokenPromise] {
        try await complete(talks, at: webs).brokenPromises()
    }

    /// Waits until everybody has seen what the others sent, and reads all histories everywhere.
    ///
    /// What does not come in time is not an error here: the checker reports it as lost.
    func complete(_ talks: [Talk], at webs: [Web]) async throws -> DeliveryHistory {
        var history = current
        let deadline = ContinuousClock.now + Self.patience
        for talk in talks {
            for person in talk.people {
                let expected = Set(
                    history.sends.filter { send in
                        guard case .acknowledged = send.outcome else { return false }
                        return send.thread == talk.thread && send.author != person.name
                    }.map(\.id))
                // Not having seen everything is found below, with the names of what is missing.
                _ = try? await person.state.until("everything should be seen", within: deadline - .now) {
                    state in
                    expected.isSubset(of: Set(state.seen.compactMap(\.clientID))) ? true : nil
                }
            }
            try await history.read(talk, at: webs)
        }
        return history
    }
}

/// People with a thread of their own.
struct Talk: Sendable {
    let thread: MessageThread.ID
    let people: [Person]

    /// - Parameter web: where the thread is made.
    init(_ people: [Person], at web: Web) async throws {
        thread = try await web.createThread(people.map(\.login))
        self.people = people
    }

    init(thread: MessageThread.ID, people: [Person]) {
        self.thread = thread
        self.people = people
    }

    /// Everybody in turn sends, at a steady pace whatever the answers; ends when all are answered.
    static func load(
        _ talks: [Talk], perSecond rate: Int, for time: Duration, bytes: Int = 200, in record: Record
    ) async throws {
        let count = Int(time / .seconds(1) * Double(rate))
        let start = ContinuousClock.now
        let filler = String(repeating: "ward round ", count: bytes / 11)
        try await withThrowingDiscardingTaskGroup { tasks in
            for index in 0..<count {
                try await Task.sleep(until: start + .seconds(1) * Double(index) / Double(rate))
                let talk = talks[index % talks.count]
                let person = talk.people[index / talks.count % talk.people.count]
                tasks.addTask { await person.deliver("\(index) \(filler)", to: talk.thread, in: record) }
            }
        }
    }
}

extension DeliveryHistory {
    /// Takes over what the people of a talk saw live, and what they read at every server.
    fileprivate mutating func read(_ talk: Talk, at webs: [Web]) async throws {
        for person in talk.people {
            let state = person.state.value
            try await readFinally(talk, as: person, at: webs)
            guard state.newEpochs == 0 else { continue }
            let seen = zip(state.seen, state.seenAt).filter { $0.0.thread == talk.thread }
            streams.append(
                Stream(
                    reader: person.name, thread: talk.thread, lines: seen.map { Line($0.0) },
                    arrivals: seen.map(\.1)))
            let receipts = state.marks.filter { $0.thread == talk.thread }.map(\.receipt)
            marks.append(MarkStream(watcher: person.name, thread: talk.thread, receipts: receipts))
        }
    }

    private mutating func readFinally(_ talk: Talk, as person: Person, at webs: [Web]) async throws {
        for web in webs {
            let entries = try await web.history(of: talk.thread, as: person.login)
            views.append(
                View(
                    reader: person.name, source: "\(web)", thread: talk.thread,
                    lines: entries.map(Line.init)))
        }
    }
}

extension DeliveryHistory {
    /// Writes the history to a file of its own.
    /// - Returns: its path.
    func keep() throws -> String {
        let path = NSTemporaryDirectory() + "asm-history-\(UUID().uuidString.prefix(8)).jsonl"
        try HistoryFile(self).text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }
}

extension DeliveryHistory.Line {
    init(_ entry: LogEntry) {
        self.init(
            position: entry.position, number: entry.number ?? 0,
            id: MarkedText.id(in: entry.text) ?? entry.clientID, isMessage: entry.isMessage)
    }

    init(_ json: JSON) {
        self.init(
            position: json["position"].integer ?? 0, number: json["number"].integer ?? 0,
            id: MarkedText.id(in: json["text"].text) ?? json["clientId"].text.flatMap { ClientID($0) },
            isMessage: json["kind"].text == "message")
    }
}

extension LogEntry {
    fileprivate var text: String? {
        if case .message(let text, _) = content { text.open } else { nil }
    }
}

/// A text that says under which id it was sent.
enum MarkedText {
    private static let end: Character = "|"

    static func of(_ text: String, _ id: ClientID) -> String { "\(id)\(end)\(text)" }

    static func id(in text: String?) -> ClientID? {
        guard let text, let end = text.firstIndex(of: end) else { return nil }
        return ClientID(String(text[..<end]))
    }
}
