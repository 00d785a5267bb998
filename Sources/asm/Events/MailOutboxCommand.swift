import ArgumentParser
import Domain
import Store

struct MailOutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Mails that wait to be sent, that were sent, or that were given up.",
        discussion: "A mail is given up after 24 hours, or when the server refuses its recipient.")

    @Flag(help: "Those that were given up (dead letters).")
    var dead = false
    @Flag(help: "Those that a mail server has taken.")
    var sent = false
    @Option(help: "At most so many, the newest.", transform: eventLimit)
    var limit = 100
    @Flag(help: "Print JSON.")
    var json = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let state: OutboxMail.State = dead ? .dead : sent ? .sent : .waiting
        let (mails, given) = try await withStore(common, database) { store in
            (try await store.outbox(state, limit: limit), try await store.outbox(.dead, limit: 1))
        }
        if json { return try printJSON(mails.map(OutboxMailView.init)) }
        if mails.isEmpty { try Terminal.out("There is no such mail.") } else { try show(mails) }
        if state == .waiting, !given.isEmpty {
            try Terminal.out(
                text: "\nSome mails have been given up: `asm events mail outbox --dead` shows them.")
        }
    }

    private func show(_ mails: [OutboxMail]) throws {
        try printTable(
            ["Mail", "Event", "To", "Since", "Tries", "Last answer"],
            mails.map {
                [
                    "\($0.id)", $0.event, $0.recipient, CalendarTime($0.createdAt).text, "\($0.attempts)",
                    $0.lastError,
                ]
            })
    }
}

struct MailRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Send mails again that were given up, after their cause has been put right.")

    @Argument(help: "The mail's number, or all.")
    var mail: String
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let id = Int64(mail)
        guard id != nil || mail == "all" else {
            throw ValidationError("Name a mail by its number (`asm events mail outbox --dead`), or say all.")
        }
        let count = try await withStore(common, database) { try await $0.reviveMails(id) }
        guard count > 0 else { throw ValidationError("No such mail has been given up.") }
        try Terminal.out("\(count) of the mails given up will be sent again.")
    }
}

private struct OutboxMailView: Encodable {
    let id: String
    let event: String
    let to: String
    let messageID: String
    let state: String
    let createdAt: String
    let attempts: Int64
    let nextTry: String
    let lastAnswer: String

    init(_ mail: OutboxMail) {
        id = "\(mail.id)"
        event = mail.event
        to = mail.recipient
        messageID = mail.messageID
        state = "\(mail.state)"
        createdAt = CalendarTime(mail.createdAt).iso8601
        attempts = mail.attempts
        nextTry = CalendarTime(mail.nextAt).iso8601
        lastAnswer = mail.lastError
    }
}
