import ArgumentParser
import Domain
import Foundation
import Store

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "System events: what administrators are told of, in the event log and by e-mail.",
        discussion: """
            First give a default e-mail entry, then look at what is sent to it:
              asm events mail add --to ops@mercy.example --from asm@mercy.example --server mail.mercy.example --use-tls yes
              asm events mail test default
              asm events list
            docs/events.md says of each event what it means and what to do.
            """,
        subcommands: [
            List.self, Show.self, Set.self, EventMailCommand.self, EventLogCommand.self,
            EventOptionsCommand.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Every event, whether it is logged, and to whom it is mailed.",
            discussion: "An address in [brackets] is the default entry's.")

        @Flag(help: "Print JSON.")
        var json = false
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let views = try await withStore(common, database) { try await EventView.all($0) }
            if json { return try printJSON(views) }
            try printTable(
                ["Event", "Log Event", "Notifications"],
                views.map { [$0.event, $0.logEvent ? "yes" : "no", $0.notifications] })
            if !views.contains(where: { $0.hasDefault }) {
                try Terminal.out(
                    text: "\nThere is no default e-mail entry: `asm events mail add --to …` makes one.")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One event's settings.", discussion: "Example: asm events show 'Server Inactive'")

        @Argument(help: "The event's name, such as 'Server Inactive' or server-inactive.")
        var event: String
        @Flag(help: "Print JSON.")
        var json = false
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let event = try eventNamed(event)
            let (view, entries) = try await withStore(common, database) { store in
                (
                    try await EventView.all(store).first { $0.event == event.rawValue },
                    try await store.mailEntries().filter { $0.event == event }.map(MailEntryView.init)
                )
            }
            guard let view else { return }
            if json { return try printJSON(EventDetails(event: view, entries: entries)) }
            try Terminal.out("Event Type:   \(view.event)")
            try Terminal.out("Use Default:  \(view.useDefault ? "yes" : "no")")
            try Terminal.out("Log Event:    \(view.logEvent ? "yes" : "no")")
            try Terminal.out("Notification Email:")
            if entries.isEmpty { return try Terminal.out("  none of its own") }
            for entry in entries { try Terminal.out("  \(entry.id)  \(entry.line)") }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set Use Default and Log Event of an event.",
            discussion: "Example: asm events set 'User Locked Out' --use-default yes")

        @Argument(help: "The event's name, or all.")
        var event: String
        @Option(help: ArgumentHelp("Mail it to the default entry.", valueName: "yes|no"))
        var useDefault: YesOrNo?
        @Option(help: ArgumentHelp("Keep it in the event log.", valueName: "yes|no"))
        var log: YesOrNo?
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard useDefault != nil || log != nil else {
                throw ValidationError("Nothing to set: give --use-default, --log or both.")
            }
        }

        func run() async throws {
            let events = event == "all" ? SystemEvent.allCases : [try eventNamed(event)]
            try await withStore(common, database) { store in
                var settings = try await store.eventSettings()
                for event in events {
                    var new = settings[event] ?? event.defaults
                    if let useDefault { new.usesDefault = useDefault == .yes }
                    if let log { new.isLogged = log == .yes }
                    settings[event] = new
                    try await store.set(new, for: event)
                }
            }
            try Terminal.out(
                events.count == 1 ? "'\(events[0].rawValue)' has been set." : "All events have been set.")
        }
    }
}

/// A check box.
enum YesOrNo: String, ExpressibleByArgument, CaseIterable {
    case yes
    case no
}

/// One line of the Notifications page.
struct EventView: Encodable {
    let event: String
    let useDefault: Bool
    let logEvent: Bool
    /// The default entry's addresses, where this event uses it.
    let defaultAddresses: [String]
    let addresses: [String]
    let hasDefault: Bool

    var notifications: String {
        (defaultAddresses.map { "[\($0)]" } + addresses).joined(separator: " ")
    }

    static func all(_ store: Store) async throws -> [EventView] {
        let settings = try await store.eventSettings()
        let entries = try await store.mailEntries()
        let standard = entries.filter { $0.event == nil }.flatMap(\.settings.to).map(\.description)
        return SystemEvent.allCases.map { event in
            let set = settings[event] ?? event.defaults
            return EventView(
                event: event.rawValue, useDefault: set.usesDefault, logEvent: set.isLogged,
                defaultAddresses: set.usesDefault ? standard : [],
                addresses: entries.filter { $0.event == event }.flatMap(\.settings.to).map(\.description),
                hasDefault: !standard.isEmpty)
        }
    }
}

private struct EventDetails: Encodable {
    let event: EventView
    let entries: [MailEntryView]
}

func eventNamed(_ text: String) throws -> SystemEvent {
    guard let event = SystemEvent(named: text) else {
        throw ValidationError(
            "There is no event '\(text)'. The events are: "
                + SystemEvent.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ") + ".")
    }
    return event
}

/// Reads how many of a report are wanted.
let eventLimit: @Sendable (String) throws -> Int = whole(1...Store.longestEventPage)

func printTable(_ head: [String], _ rows: [[String]]) throws {
    let lines = ([head] + rows).map { $0.map { escapingControls($0) } }
    let widths = head.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    for line in lines {
        var text = ""
        for (cell, width) in zip(line, widths) {
            text += cell + String(repeating: " ", count: width - cell.count + 2)
        }
        while text.last == " " { text.removeLast() }
        try Terminal.out(text)
    }
}

func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Terminal.out(json: String(decoding: try encoder.encode(value), as: UTF8.self))
}
