import Crypto
package import Domain
package import SQLDatabase

/// Something that happened of which administrators are told.
package struct EventReport: Sendable, Hashable {
    package var event: SystemEvent
    /// One sentence; it stands in the log and at the head of the mail.
    package var summary: String
    /// Facts and what to do, in plain lines. Neither holds what people wrote, passwords or tokens.
    package var details: String
    package var customer: Customer.ID?
    package var server: Int64?
    /// The same key raises this event at most once; nil: every time. Keys are forgotten after
    /// `EventLimits.keysKeptDays`.
    package var key: String?

    package init(
        event: SystemEvent, summary: String, details: String = "", customer: Customer.ID? = nil,
        server: Int64? = nil, key: String? = nil
    ) {
        self.event = event
        self.summary = summary
        self.details = details
        self.customer = customer
        self.server = server
        self.key = key
    }
}

/// The numbers that bound events and their mails.
package enum EventLimits {
    /// Bytes of a summary and of the details; more is cut off.
    package static let summaryBytes = 300
    package static let detailsBytes = 4_000
    /// Mails that may wait to be sent; while so many wait, events are logged without mail.
    package static let waitingMails = 10_000
    /// The same for events that are frequent or about one person, so that they leave room for those about the system.
    package static let waitingMailsOfPeople = 5_000
    /// A mail that no server has taken for so long is given up.
    package static let mailGivenUpAfterMicroseconds: Int64 = 24 * 3_600 * 1_000_000
    /// E-mail entries of one event.
    package static let entriesPerEvent = 50
    /// For so long a key raises its event once.
    package static let keysKeptDays = 400
}

extension SQLSession {
    /// Writes an event into the log and its mails into the outbox, in the caller's transaction.
    ///
    /// So an event is told of exactly when what caused it was committed.
    /// - Returns: false when its key has raised it before; then nothing is written.
    @discardableResult
    package func raise(_ report: EventReport) throws -> Bool {
        if let key = report.key {
            let first = try run(
                """
                INSERT INTO event_once (event, key, at) VALUES (\(report.event.rawValue), \(key), \(.now))
                ON CONFLICT (event, key) DO NOTHING
                """)
            guard first.affectedRows > 0 else { return false }
        }
        let id = Int64.random(in: 1...Int64.max)
        let settings = try self.settings(of: report.event)
        let entries = try self.entries(for: report.event, withDefault: settings.usesDefault)
        let mails = entries.isEmpty ? 0 : try queueMails(of: report, id: id, through: entries)
        var details = report.details
        if mails == nil {
            details += details.isEmpty ? "" : "\n\n"
            details += "Nobody was written to: too many mails wait already (asm events mail outbox)."
        }
        // What cannot be mailed is logged in any case.
        guard settings.isLogged || mails == nil else { return true }
        try run(
            """
            INSERT INTO event_log (id, event, at, summary, details, customer_id, server_id, mails)
            VALUES (\(id), \(report.event.rawValue), \(.now), \(report.summary.line(EventLimits.summaryBytes)),
                \(details.cut(EventLimits.detailsBytes)), \(report.customer?.rawValue), \(report.server),
                \(mails ?? 0))
            """)
        return true
    }

    func settings(of event: SystemEvent) throws -> EventSettings {
        let row = try run(
            "SELECT use_default, log_event FROM event_setting WHERE event = \(event.rawValue)"
        ).first
        guard let row else { return event.defaults }
        return EventSettings(usesDefault: try row.bool(0), isLogged: try row.bool(1))
    }

    private func entries(for event: SystemEvent, withDefault: Bool) throws -> [AddressedEntry] {
        var sql: SQL = """
            SELECT id, recipients, sender, subject FROM mail_entry
            WHERE event = \(event.rawValue)
            """
        if withDefault { sql.append(" OR event IS NULL") }
        // An address that several entries name is written to through the event's own: its subject was chosen for it.
        return try run(sql + " ORDER BY (event IS NULL), created_at, id").map { row in
            AddressedEntry(
                id: try row.int(0),
                recipients: try row.string(1).split(separator: ",").map(String.init),
                sender: try row.string(2), subject: try row.string(3))
        }
    }

    /// One mail for each address, however many entries name it.
    /// - Returns: how many; nil when too many wait already.
    private func queueMails(
        of report: EventReport, id: Int64, through entries: [AddressedEntry]
    ) throws -> Int? {
        let isOfPeople = !report.event.defaults.usesDefault
        let most = isOfPeople ? EventLimits.waitingMailsOfPeople : EventLimits.waitingMails
        let waiting = try run(
            "SELECT count(*) FROM (SELECT 1 FROM mail_outbox WHERE state = 0 LIMIT \(most)) AS waiting")[0]
            .int(0)
        guard waiting < most else { return nil }
        let body = try mailBody(of: report)
        var queued = 0
        for entry in entries {
            for recipient in entry.recipients {
                let subject = entry.subject.isEmpty ? "ASM: \(report.event.rawValue)" : entry.subject
                let messageID = Self.messageID(event: id, recipient: recipient, sender: entry.sender)
                queued += try run(
                    """
                    INSERT INTO mail_outbox
                        (id, event_id, event, entry_id, recipient, subject, body, message_id, created_at, give_up_at,
                         next_at)
                    VALUES (\(Int64.random(in: 1...Int64.max)), \(id), \(report.event.rawValue), \(entry.id),
                        \(recipient), \(subject), \(body), \(messageID), \(.now),
                        \(.now) + \(EventLimits.mailGivenUpAfterMicroseconds), \(.now))
                    ON CONFLICT DO NOTHING
                    """
                ).affectedRows
            }
        }
        return queued
    }

    private func mailBody(of report: EventReport) throws -> String {
        let now = Timestamp(microseconds: try run("SELECT \(.now)")[0].int(0))
        var lines = [report.summary.line(EventLimits.summaryBytes), ""]
        lines.append("Event: \(report.event.rawValue)")
        lines.append("Time: \(CalendarTime(now).text)")
        if let server = report.server,
            let address = try run("SELECT address FROM server WHERE id = \(server)").first?.string(0)
        {
            lines.append("Server: \(address)")
        }
        if let customer = report.customer,
            let name = try run("SELECT name FROM customer WHERE id = \(customer)").first?.string(0)
        {
            lines.append("Customer: \(name)")
        }
        let details = report.details.cut(EventLimits.detailsBytes)
        if !details.isEmpty { lines += ["", details] }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The same for one event and one recipient at every try, so that a copy is known as one.
    private static func messageID(event: Int64, recipient: String, sender: String) -> String {
        let hash = SHA256.hash(data: Array(recipient.utf8)).prefix(8)
        let hexadecimal = hash.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        let domain = sender.split(separator: "@").last.map(String.init) ?? "asm.invalid"
        return "<\(event).\(hexadecimal.joined())@\(domain)>"
    }
}

extension Store {
    /// Raises an event by itself; where something else is written that caused it, raise it in that transaction.
    @discardableResult
    package func raise(_ report: EventReport) async throws -> Bool {
        try await database.write { try $0.raise(report) }
    }
}

/// As much of an e-mail entry as addressing a mail takes.
private struct AddressedEntry {
    let id: Int64
    let recipients: [String]
    let sender: String
    let subject: String
}

extension String {
    /// At most so many bytes, without what PostgreSQL's text cannot hold.
    fileprivate func cut(_ limitBytes: Int) -> String {
        var bytes = 0
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars where scalar.value != 0 {
            bytes += UTF8.width(scalar)
            guard bytes <= limitBytes else { return String(text) + "…" }
            text.append(scalar)
        }
        return String(text)
    }

    /// The same on one line, without control characters: so must be what people named, wherever it stands.
    func line(_ limitBytes: Int) -> String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.isControl ? " " : $0 })).cut(limitBytes)
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool { String(Character(self)).holdsControls }
}
