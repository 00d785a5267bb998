import ArgumentParser
import Domain
import Store

struct EventLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "The Event Log Report: what happened, newest first.",
        discussion: "Example: asm events log --since 7d")

    @Option(help: ArgumentHelp("How far back: 90m, 12h or 7d. Default: everything kept.", valueName: "time"))
    var since: String?
    @Option(help: "Only this event.")
    var event: String?
    @Option(help: "At most so many, up to 1000.", transform: eventLimit)
    var limit = 100
    @Flag(help: "Print JSON.")
    var json = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let age = try since.map(Self.microseconds)
        let event = try event.map(eventNamed)
        let events = try await withStore(common, database) {
            try await $0.loggedEvents(event, maximumAge: age, limit: limit)
        }
        if json { return try printJSON(events.map(LoggedEventView.init)) }
        if events.isEmpty { return try Terminal.out("Nothing has been logged.") }
        for event in events {
            let place = [event.server, event.customer].compactMap { $0 }.joined(separator: ", ")
            try Terminal.out(
                "\(CalendarTime(event.at).text)  \(event.event)\(place.isEmpty ? "" : "  (\(place))")"
            )
            try Terminal.out("    \(event.summary)")
            for line in event.details.split(separator: "\n") { try Terminal.out("    \(String(line))") }
        }
    }

    static func microseconds(_ text: String) throws -> Int64 {
        let units: [Character: Int64] = ["m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()),
            (1...100_000).contains(count)
        else {
            throw ValidationError(
                "--since is '\(text)'; expected a time such as 90m, 12h or 7d.")
        }
        return count * unit * 1_000_000
    }
}

private struct LoggedEventView: Encodable {
    let at: String
    let event: String
    let summary: String
    let details: String
    let customer: String?
    let server: String?
    let mails: Int64

    init(_ event: LoggedEvent) {
        at = CalendarTime(event.at).iso8601
        self.event = event.event
        summary = event.summary
        details = event.details
        customer = event.customer
        server = event.server
        mails = event.mails
    }
}

struct EventOptionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "options", abstract: "How long events are kept, and when the database counts as full.",
        discussion: "Example: asm events options --retention-days 365 --database-limit 200GiB")

    @Option(help: "Days for which events are kept: 1 to 3650.", transform: whole(1...3_650))
    var retentionDays: Int64?
    @Option(help: "The database's limit, such as 512MiB or 200GiB; 0: none.")
    var databaseLimit: String?
    @Option(help: "Percent of a limit at which a warning is due: 10 to 99.", transform: whole(10...99))
    var warningPercent: Int64?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let limit = try databaseLimit.map(Self.bytes)
        let options = try await withStore(common, database) { store in
            if let retentionDays { try await store.set(.retentionDays, to: retentionDays) }
            if let limit { try await store.set(.databaseLimitBytes, to: limit) }
            if let warningPercent { try await store.set(.warningPercent, to: warningPercent) }
            return try await store.eventOptions()
        }
        try Terminal.out("Events are kept for:   \(options.retentionDays) days")
        try Terminal.out("The database's limit:  \(options.databaseLimitBytes >> 20) MiB")
        try Terminal.out("Warning at:            \(options.warningPercent) % of a limit")
    }

    static func bytes(_ text: String) throws -> Int64 {
        if text == "0" { return 0 }
        for (unit, shift) in [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)] where text.hasSuffix(unit) {
            if let count = Int64(text.dropLast(3)), (1...(1 << 20)).contains(count) { return count << shift }
        }
        throw ValidationError(
            "--database-limit is '\(text)'; expected a size such as 512MiB or 200GiB, or 0.")
    }
}
