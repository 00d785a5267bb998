import ASMClient
import ArgumentParser

/// `asm listen`: prints what happens in a user's threads as it happens.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen", abstract: "Print messages as they come.",
        discussion: """
            Shows everything that happens in your threads from now on, one line each, until you stop it \
            with Ctrl-C, or until --count lines or --for seconds. When the connection breaks it comes back \
            and goes on where it was: nothing is missed and nothing shown twice.

            Example: asm listen --web http://localhost:8080 --login bob
            Example: asm listen --web http://localhost:8080 --login bob --json --count 10 > ten.jsonl
            """)

    @OptionGroup var logIn: LogInOptions

    @Flag(help: "Print each entry as one JSON object a line.")
    var json = false

    @Option(help: "Stop after so many entries.", transform: whole(1...Int.max))
    var count: Int?

    @Option(name: .customLong("for"), help: "Stop after so many seconds.", transform: seconds(0.001...1e9))
    var duration: Duration?

    func validate() throws {
        _ = try logIn.web.configuration()
    }

    func run() async throws {
        let client = try await logIn.client(deviceName: "asm listen")
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                try await client.run()
                return false
            }
            tasks.addTask { try await printEntries(of: client) }
            if let duration {
                tasks.addTask {
                    try await Task.sleep(for: duration)
                    return true
                }
            }
            // The first to say that it is enough, or to fail, ends the others.
            while let isDone = try await tasks.next(), !isDone {}
            tasks.cancelAll()
        }
    }

    /// Prints until there were enough; false when the events ended before.
    private func printEntries(of client: MessagingClient) async throws -> Bool {
        var printed = 0
        var names: [UserID: String] = [:]
        for await event in client.events {
            switch event {
            case .entries(let entries):
                for entry in entries {
                    if json {
                        try Terminal.out(json: entry.json)
                    } else {
                        try Terminal.out(await line(for: entry, names: &names, client: client))
                    }
                    printed += 1
                    if printed == count { return true }
                }
            case .connected(let address): Terminal.note("Listening to \(address) as \(logIn.login).")
            case .disconnected(let reason, let pause):
                Terminal.noteLost(reason, retryIn: pause)
            case .missing(let thread, let numbers):
                Terminal.note(
                    "Entries \(numbers.lowerBound) to \(numbers.upperBound) of thread \(thread) are missing.")
            case .resynced(isComplete: false), .fellBehind:
                Terminal.note("Some entries were not shown: more was missed than can be caught up here.")
            case .stored, .refused, .marks, .resynced: break
            }
        }
        return false
    }

    private func line(
        for entry: Entry, names: inout [UserID: String], client: MessagingClient
    ) async -> String {
        if let author = entry.author, names[author] == nil {
            // Where names cannot be had, the line shows ids.
            for person in (try? await client.thread(entry.thread).participants) ?? [] {
                names[person.id] = person.login.isEmpty ? person.name : person.login
            }
        }
        let author = entry.author.map { names[$0] ?? "\($0)" } ?? "?"
        func list(_ users: [UserID]) -> String { users.map { names[$0] ?? "\($0)" }.joined(separator: ", ") }
        let said =
            switch entry.content {
            case .message(let text, .urgent): "URGENT: \(text)"
            case .message(let text, .normal): text
            case .recalledMessage: "(taken back)"
            case .created(let subject, let people): "(started \"\(subject)\" with \(list(people)))"
            case .added(let people): "(added \(list(people)))"
            case .left(let user): "(\(list([user])) left)"
            case .recalled(let number): "(took back message \(number))"
            case .subject(let subject): "(changed the subject to \"\(subject)\")"
            case .closed: "(closed the thread)"
            case .unknown: ""
            }
        return "\(entry.thread) #\(entry.number) \(author): \(said)"
    }
}
