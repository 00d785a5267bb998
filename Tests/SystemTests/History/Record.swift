import Domain
import Synchronization
import Testing

/// The history of a running test, written by many at once.
final class Record: Sendable {
    /// How long what was acknowledged may take to be seen by everybody.
    private static let patience = Duration.seconds(15)

    private let history = Mutex(DeliveryHistory())

    var current: DeliveryHistory { history.withLock { $0 } }

    func add(_ send: DeliveryHistory.Send) { history.withLock { $0.sends.append(send) } }

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
        let broken = try await check(talks, at: webs)
        #expect(
            broken.isEmpty, "\(broken.count) promises broken: \(broken.prefix(8))\n\(report.rawValue)",
            sourceLocation: sourceLocation)
    }

    /// Waits until everybody has seen what the others sent, reads all histories everywhere, and checks.
    ///
    /// What does not come in time is not an error here: the checker reports it as lost.
    private func check(_ talks: [Talk], at webs: [Web]) async throws -> [BrokenPromise] {
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
        return history.brokenPromises()
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
            let lines = state.seen.filter { $0.thread == talk.thread }.map(Line.init)
            streams.append(Stream(reader: person.name, thread: talk.thread, lines: lines))
            let receipts = state.marks.filter { $0.thread == talk.thread }.map(\.receipt)
            marks.append(MarkStream(watcher: person.name, thread: talk.thread, receipts: receipts))
            for web in webs {
                let entries = try await web.history(of: talk.thread, as: person.login)
                views.append(
                    View(
                        reader: person.name, source: "\(web)", thread: talk.thread,
                        lines: entries.map(Line.init)))
            }
        }
    }
}

extension DeliveryHistory.Line {
    init(_ entry: LogEntry) {
        self.init(
            position: entry.position, number: entry.number ?? 0, id: entry.clientID,
            isMessage: entry.isMessage)
    }

    init(_ json: JSON) {
        self.init(
            position: json["position"].integer ?? 0, number: json["number"].integer ?? 0,
            id: json["clientId"].text.flatMap { ClientID($0) }, isMessage: json["kind"].text == "message")
    }
}
