package import Domain
import SQLDatabase

/// An e-mail entry as it is stored.
package struct MailEntry: Sendable, Hashable {
    package let id: Int64
    /// nil: the default entry.
    package let event: SystemEvent?
    package let settings: MailSettings
}

/// What the store refuses of an administrator's wishes for events.
package enum EventStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    case defaultEntryExists
    case noSuchEntry
    case tooManyEntries(SystemEvent)
    case option(EventOptions.Name, Int64)

    package var description: String {
        switch self {
        case .defaultEntryExists:
            "There is a default e-mail entry already: change it (`asm events mail edit default …`), or delete it first."
        case .noSuchEntry: "There is no such e-mail entry; `asm events mail list` shows those that there are."
        case .tooManyEntries(let event):
            """
            '\(event.rawValue)' has \(EventLimits.entriesPerEvent) e-mail entries, which is the most: let one name \
            several addresses, or let the mail server keep a list.
            """
        case .option(let name, let value):
            "\(name.rawValue) cannot be \(value); expected \(name.range.lowerBound) to \(name.range.upperBound)."
        }
    }
}

extension Store {
    /// The check boxes of every event.
    package func eventSettings() async throws -> [SystemEvent: EventSettings] {
        try await database.read { session in
            try SystemEvent.allCases.reduce(into: [:]) { all, event in
                all[event] = try session.settings(of: event)
            }
        }
    }

    package func set(_ settings: EventSettings, for event: SystemEvent) async throws {
        try await database.query(
            """
            INSERT INTO event_setting (event, use_default, log_event)
            VALUES (\(event.rawValue), \(settings.usesDefault), \(settings.isLogged))
            ON CONFLICT (event) DO UPDATE SET use_default = excluded.use_default, log_event = excluded.log_event
            """)
    }

    /// Every e-mail entry, the default first.
    package func mailEntries() async throws -> [MailEntry] {
        try await database.query(
            "SELECT \(raw: mailEntryColumns) FROM mail_entry ORDER BY coalesce(event, ''), created_at, id"
        ).map(mailEntry)
    }

    /// Adds an entry for an event, or the default entry.
    /// - Throws: `EventStoreError`.
    package func addMailEntry(_ settings: MailSettings, for event: SystemEvent?) async throws -> Int64 {
        let id = Int64.random(in: 1...Int64.max)
        do {
            try await database.write { session in
                if let event {
                    let count = try session.run(
                        "SELECT count(*) FROM mail_entry WHERE event = \(event.rawValue)")[0].int(0)
                    guard count < EventLimits.entriesPerEvent else {
                        throw EventStoreError.tooManyEntries(event)
                    }
                }
                try session.run(
                    """
                    INSERT INTO mail_entry (id, event, recipients, sender, subject, server, port, login, password,
                        use_tls, encrypted, created_at)
                    VALUES (\(id), \(event?.rawValue), \(settings.recipients), \(settings.from.description),
                        \(settings.subject), \(settings.server), \(settings.port), \(settings.login),
                        \(settings.password.open), \(settings.security.usesTLS), \(settings.security.isEncrypted),
                        \(.now))
                    """)
            }
        } catch SQLError.constraint where event == nil {
            throw EventStoreError.defaultEntryExists
        }
        return id
    }

    /// - Throws: `EventStoreError.noSuchEntry`.
    package func changeMailEntry(_ id: Int64, to settings: MailSettings) async throws {
        let result = try await database.query(
            """
            UPDATE mail_entry SET recipients = \(settings.recipients), sender = \(settings.from.description),
                subject = \(settings.subject), server = \(settings.server), port = \(settings.port),
                login = \(settings.login), password = \(settings.password.open),
                use_tls = \(settings.security.usesTLS), encrypted = \(settings.security.isEncrypted)
            WHERE id = \(id)
            """)
        guard result.affectedRows > 0 else { throw EventStoreError.noSuchEntry }
    }

    /// Deletes an entry; what waits to be sent through it is given up at its next try.
    /// - Throws: `EventStoreError.noSuchEntry`.
    package func deleteMailEntry(_ id: Int64) async throws {
        let result = try await database.query("DELETE FROM mail_entry WHERE id = \(id)")
        guard result.affectedRows > 0 else { throw EventStoreError.noSuchEntry }
    }
}

let mailEntryColumns: StaticString =
    "id, event, recipients, sender, subject, server, port, login, password, use_tls, encrypted"

/// Reads `mailEntryColumns`.
func mailEntry(_ row: SQLRow) throws -> MailEntry {
    let security = try MailSecurity(usesTLS: row.bool(9), isEncrypted: row.bool(10))
    let settings = try MailSettings(
        to: row.string(2), from: row.string(3), subject: row.string(4), server: row.string(5),
        port: Int(row.int(6)), login: row.string(7), password: Sealed(row.string(8)), security: security)
    return MailEntry(
        id: try row.int(0), event: try row.stringOrNil(1).flatMap(SystemEvent.init(rawValue:)),
        settings: settings)
}

extension MailSettings {
    fileprivate var recipients: String { to.map(\.description).joined(separator: ",") }
}
