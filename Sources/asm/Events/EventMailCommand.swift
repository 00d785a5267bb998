import ASMService
import ArgumentParser
import Domain
import Foundation
import Mail
import Store

struct EventMailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail", abstract: "E-mail entries: whom events are mailed to, and through which server.",
        discussion: """
            There is one default entry, for all events that use it, and any number for single events. An entry's mails \
            go out encrypted as it says or not at all.
            """,
        subcommands: [
            List.self, Add.self, Edit.self, Delete.self, Test.self, MailOutboxCommand.self,
            MailRetryCommand.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The e-mail entries; passwords are not shown.")

        @Flag(help: "Print JSON.")
        var json = false
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let entries = try await withStore(common, database) { try await $0.mailEntries() }
                .map(MailEntryView.init)
            if json { return try printJSON(entries) }
            if entries.isEmpty { return try Terminal.out("There is no e-mail entry.") }
            try printTable(
                ["Entry", "Event", "To", "From", "Server", "Encryption", "Login", "Subject"],
                entries.map {
                    [
                        $0.id, $0.event ?? "(default)", $0.to.joined(separator: ", "), $0.from,
                        "\($0.server):\($0.port)", $0.encryption, $0.login, $0.subject,
                    ]
                })
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add an e-mail entry: the default one, or one for an event.",
            discussion: """
                Examples:
                  asm events mail add --to ops@mercy.example --from asm@mercy.example --server mail.mercy.example \
                --use-tls yes --login asm --password-file smtp.txt
                  asm events mail add --event 'Device Conflict' --to it@mercy.example --from asm@mercy.example \
                --server 10.0.0.25 --encrypted yes
                """)

        @Option(help: "The event that is mailed to this entry. Without it: the default entry.")
        var event: String?
        @OptionGroup var fields: MailFields
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let event = try event.map(eventNamed)
            let settings = try fields.settings(changing: nil)
            let id = try await withStore(common, database) { try await $0.addMailEntry(settings, for: event) }
            fields.warn(settings)
            try Terminal.out("The entry has been added as \(id). Try it: asm events mail test \(id)")
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change an e-mail entry; what is not given stays.",
            discussion: "Mails that wait go out with the new settings at their next try.")

        @Argument(help: "The entry's number, or default.")
        var entry: String
        @OptionGroup var fields: MailFields
        @Flag(help: "Speak to the server without login and password.")
        var noLogin = false
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try await withStore(common, database) { store in
                let old = try await store.entry(named: entry)
                let new = try fields.settings(changing: old.settings, withoutLogin: noLogin)
                try await store.changeMailEntry(old.id, to: new)
                return new
            }
            fields.warn(settings)
            try Terminal.out("The entry has been changed.")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an e-mail entry; what waits to go through it is given up.")

        @Argument(help: "The entry's number, or default.")
        var entry: String
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await withStore(common, database) { store in
                try await store.deleteMailEntry(try await store.entry(named: entry).id)
            }
            try Terminal.out("The entry has been deleted.")
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a test mail to an entry's addresses, from here and now.",
            discussion: """
                Its body is "This is a test message." What the mail server answers is shown. Servers may stand elsewhere \
                in the network than this machine: run it where an ASM Service runs.
                """)

        @Argument(help: "The entry's number, or default.")
        var entry = "default"
        @OptionGroup var mail: MailOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        static let body = "This is a test message."

        func run() async throws {
            let configuration = try mail.configuration()
            let name = entry
            let entry = try await withStore(common, database) { try await $0.entry(named: name) }
            let sender = MailSender(limits: configuration.limits)
            let server = MailServer(entry.settings, authorities: configuration.authorities)
            var failures = 0
            for address in entry.settings.to {
                let subject = entry.settings.subject.isEmpty ? "ASM: test" : entry.settings.subject
                let message = MailMessage(
                    to: [address.description], from: entry.settings.from.description, subject: subject,
                    body: Self.body)
                let domain = entry.settings.from.description.split(separator: "@").last ?? "asm.invalid"
                do {
                    try await sender.send(
                        message, through: server, messageID: "<test.\(Token128.random())@\(domain)>")
                    try Terminal.out("The server has taken the test mail to \(address).")
                } catch let error as MailError {
                    failures += 1
                    Terminal.note("\(address): \(error)")
                }
            }
            if failures > 0 { throw ExitCode.failure }
        }
    }
}

/// The settings of an e-mail entry, as options.
struct MailFields: ParsableArguments {
    @Option(help: ArgumentHelp("Whom to write to; several addresses with commas.", valueName: "address,…"))
    var to: String?
    @Option(help: ArgumentHelp("The sender's address.", valueName: "address"))
    var from: String?
    @Option(help: "The subject. Default: the event's name.")
    var subject: String?
    @Option(help: ArgumentHelp("The mail server.", valueName: "host"))
    var server: String?
    @Option(
        help: "Its port. Default: 587 with Use TLS, 465 when Encrypted, else 25.",
        transform: whole(1...65_535))
    var port: Int?
    @Option(help: "The name to log in with.")
    var login: String?
    @OptionGroup var password: PasswordOptions
    @Option(
        help: ArgumentHelp(
            "Begin plain, become encrypted before anything is said (STARTTLS).", valueName: "yes|no"))
    var useTls: YesOrNo?
    @Option(help: ArgumentHelp("TLS from the first byte on.", valueName: "yes|no"))
    var encrypted: YesOrNo?

    /// What is given over what was, checked.
    func settings(changing old: MailSettings?, withoutLogin: Bool = false) throws -> MailSettings {
        guard let to = to ?? old?.to.map(\.description).joined(separator: ",") else { throw missing("to") }
        guard let from = from ?? old?.from.description else { throw missing("from") }
        guard let server = server ?? old?.server else { throw missing("server") }
        let security = try MailSecurity(
            usesTLS: useTls.map { $0 == .yes } ?? (old?.security.usesTLS ?? false),
            isEncrypted: encrypted.map { $0 == .yes } ?? (old?.security.isEncrypted ?? false))
        let isOldPort = old.map { $0.port != $0.security.usualPort || $0.security == security } ?? false
        let login = withoutLogin ? "" : login ?? old?.login ?? ""
        var password = withoutLogin ? Sealed("") : old?.password ?? Sealed("")
        if !withoutLogin, self.password.passwordFile != nil || (self.login != nil && self.login != old?.login)
        {
            password = try self.password.read(of: login)
        }
        return try MailSettings(
            to: to, from: from, subject: subject ?? old?.subject ?? "", server: server,
            port: port ?? (isOldPort ? old?.port : nil), login: login, password: password, security: security)
    }

    private func missing(_ option: String) -> ValidationError {
        ValidationError("--\(option) is missing. `asm events mail add --help` shows an example.")
    }

    /// Says on standard error what is allowed and unwise.
    func warn(_ settings: MailSettings) {
        guard settings.showsPassword else { return }
        Terminal.note(
            """
            Warning: neither Use TLS nor Encrypted is set, so the login's password crosses the network in plain text.
            """)
    }
}

/// An e-mail entry without its password.
struct MailEntryView: Encodable {
    let id: String
    let event: String?
    let to: [String]
    let from: String
    let subject: String
    let server: String
    let port: Int
    let login: String
    let useTLS: Bool
    let encrypted: Bool

    init(_ entry: MailEntry) {
        id = "\(entry.id)"
        event = entry.event?.rawValue
        to = entry.settings.to.map(\.description)
        from = entry.settings.from.description
        subject = entry.settings.subject
        server = entry.settings.server
        port = entry.settings.port
        login = entry.settings.login
        useTLS = entry.settings.security.usesTLS
        encrypted = entry.settings.security.isEncrypted
    }

    var encryption: String { useTLS ? "Use TLS" : encrypted ? "Encrypted" : "none" }
    var line: String { "\(to.joined(separator: ", ")) through \(server):\(port) (\(encryption))" }
}

extension Store {
    /// The entry that an administrator means by its number, or by `default`.
    fileprivate func entry(named text: String) async throws -> MailEntry {
        let entries = try await mailEntries()
        let found =
            text == "default" ? entries.first { $0.event == nil } : entries.first { "\($0.id)" == text }
        guard let found else { throw EventStoreError.noSuchEntry }
        return found
    }
}
