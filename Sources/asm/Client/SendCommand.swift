import ASMClient
import ArgumentParser

/// `asm send`: sends one message, or each line of the standard input as one.
struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Send a message, or every line of the standard input as one.",
        discussion: """
            Sends as the user you log in as, to a new thread with the people of --to, or to an existing \
            --thread. With - as the text every line read is one message; they are stored in order, and \
            none is sent twice even when a server goes away in between. A line that is too long is refused by its \
            number, and the rest is sent. Ends with status 0 when everything is stored for good; without a connection it tries again until there is one, or as long as \
            --give-up-after says.

            Example: asm send --web http://localhost:8080 --login alice --to bob,carol \
            --subject Lunch "At noon?"
            Example: asm send --web http://localhost:8080 --login alice --to bob - < lines.txt
            """)

    @OptionGroup var logIn: LogInOptions

    @Option(
        help: ArgumentHelp(
            "The log-in names of the people to start a thread with, with commas between them.",
            valueName: "login,…"))
    var to: String?

    @Option(help: "The subject of the new thread.")
    var subject: String?

    @Option(help: "The id of the thread to send into, instead of --to.")
    var thread: String?

    @Option(help: "normal or urgent.")
    var priority = PriorityName.normal

    @Option(
        help: """
            End with status 1 when there was no connection for so many seconds, or the next try would come later.
            """, transform: seconds(upToADay))
    var giveUpAfter: Duration?

    @Argument(help: "The text; - reads the standard input.")
    var text: String

    enum PriorityName: String, ExpressibleByArgument, CaseIterable {
        case normal, urgent
    }

    func validate() throws {
        guard (to == nil) != (thread == nil) else { throw ValidationError("Give either --to or --thread.") }
        guard subject == nil || to != nil else { throw ValidationError("--subject needs --to.") }
        if let thread, ThreadID(thread) == nil {
            throw ValidationError("--thread: \"\(thread)\" is no id of a thread; expected decimal digits.")
        }
        _ = try logIn.web.configuration()
    }

    func run() async throws {
        let client = try await logIn.client(deviceName: "asm send")
        let thread = try await findThread(with: client)
        let priority: MessagePriority = priority == .urgent ? .urgent : .normal
        var sending = Sending(client: client, thread: thread, priority: priority, patience: giveUpAfter)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await client.run() }
            do {
                if text == "-" {
                    try await sending.sendLines(LineReader())
                } else {
                    try await sending.send(text, line: nil)
                    try await sending.finish()
                }
            } catch is Sending.ClientEnded {
                try await tasks.next()
            } catch let error as Sending.GaveUp {
                sending.gaveUp(error)
            }
            tasks.cancelAll()
        }
        Terminal.note(sending.summary)
        if let failure = sending.failure { throw CommandFailure(failure) }
        if sending.refused > 0 { throw ExitCode.failure }
    }

    private func findThread(with client: MessagingClient) async throws -> ThreadID {
        if let thread, let id = ThreadID(thread) { return id }
        let logins = (to ?? "").split(separator: ",").map { $0.trimmingSpaces }
        guard !logins.isEmpty else { throw CommandFailure("--to names nobody.") }
        let people = try await client.people(logins: logins)
        for login in logins where !people.contains(where: { $0.login == login }) {
            throw CommandFailure("There is no user \"\(login)\".")
        }
        return try await client.createThread(with: people.map(\.id), subject: subject)
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

/// Messages on their way, and what became of them.
private struct Sending {
    /// The client ended before everything was answered; it knows why.
    struct ClientEnded: Error {}

    /// There was no connection for too long.
    struct GaveUp: Error { let reason: String }

    /// How many messages may wait for their answer.
    static let window = 512

    let client: MessagingClient
    let thread: ThreadID
    let priority: MessagePriority
    /// How long it goes on without a connection; nil for ever.
    let patience: Duration?
    private(set) var stored = 0
    private(set) var refused = 0
    private(set) var skipped = 0
    /// Why reading stopped early.
    private(set) var failure: String?
    private var lines: [MessageID: Int?] = [:]
    private var events: AsyncStream<ClientEvent>.Iterator
    /// Since when there is no connection.
    private var lostAt: ContinuousClock.Instant?
    private let start = ContinuousClock.now

    init(client: MessagingClient, thread: ThreadID, priority: MessagePriority, patience: Duration?) {
        self.client = client
        self.thread = thread
        self.priority = priority
        self.patience = patience
        events = client.events.makeAsyncIterator()
    }

    var summary: String {
        let seconds = ((ContinuousClock.now - start) / .milliseconds(1)).rounded() / 1_000
        let refusals = refused > 0 ? "; \(refused) refused" : ""
        let empty = skipped > 0 ? "; \(skipped) empty lines skipped" : ""
        let messages = stored == 1 ? "message" : "messages"
        return "Sent \(stored) \(messages) to thread \(thread) in \(seconds) s\(refusals)\(empty)."
    }

    mutating func sendLines(_ reader: LineReader) async throws {
        var reader = reader
        reading: while true {
            switch try await reader.next() {
            case .end: break reading
            case .empty: skipped += 1
            case .bad(let line, let problem):
                failure = "Line \(line) \(problem). Everything before it was sent; nothing after it."
                break reading
            case .tooLong(let line):
                refuse(
                    line,
                    MessagingError(
                        code: "too-large", message: "It is longer than \(LineReader.lineByteLimit) bytes."))
            case .line(let number, let text):
                do {
                    try await send(text, line: number)
                } catch let error as MessagingError where error.isOfOneMessage {
                    refuse(number, error)
                } catch let error as MessagingError {
                    failure =
                        "Line \(number): \(error.message) Everything before it was sent; nothing after it."
                    break reading
                }
            }
        }
        try await finish()
    }

    mutating func send(_ text: String, line: Int?) async throws {
        while lines.count >= Self.window { try await takeEvent() }
        let id = try await client.enqueue(text, in: thread, priority: priority)
        lines[id] = .some(line)
    }

    /// Waits until everything was answered.
    mutating func finish() async throws {
        while !lines.isEmpty { try await takeEvent() }
    }

    mutating func gaveUp(_ error: GaveUp) {
        let messages = lines.count == 1 ? "1 message has" : "\(lines.count) messages have"
        let first =
            lines.values.compactMap { $0 }.min().map {
                " (from line \($0) on, and nothing after them was sent)"
            } ?? ""
        failure = """
            Given up: there is no connection (\(error.reason)). \(messages) no answer\(first) and may be stored or not; \
            look into the thread before you send anything again.
            """
    }

    private mutating func refuse(_ line: Int?, _ error: MessagingError) {
        refused += 1
        Terminal.note(
            "\(line.map { "Line \($0) was refused" } ?? "Refused"): \(error.message) (\(error.code))")
    }

    private mutating func takeEvent() async throws {
        guard let event = await events.next() else { throw ClientEnded() }
        switch event {
        case .stored(let id, _, _):
            if lines.removeValue(forKey: id) != nil { stored += 1 }
        case .refused(let id, _, let error):
            guard let line = lines.removeValue(forKey: id) else { return }
            refuse(line, error)
        case .connected: lostAt = nil
        case .disconnected(let reason, let pause):
            let lostAt = self.lostAt ?? .now
            self.lostAt = lostAt
            if let patience, .now + pause - lostAt > patience { throw GaveUp(reason: reason) }
            Terminal.noteLost(reason, retryIn: pause)
        default: break
        }
    }
}

extension MessagingError {
    /// Whether it says something of this text only, so that others can be sent.
    fileprivate var isOfOneMessage: Bool { code == "too-large" || code == "empty" }
}
