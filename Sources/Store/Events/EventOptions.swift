import SQLDatabase

/// Numbers about events that an administrator may turn.
package struct EventOptions: Sendable, Hashable {
    package enum Name: String, CaseIterable, Sendable {
        /// Days for which the event log, and mails that were given up, are kept.
        case retentionDays = "retention-days"
        /// Bytes at which the database is full; 0: nobody watches.
        case databaseLimitBytes = "database-limit"
        /// Percent of a limit at which a warning is due.
        case warningPercent = "warning-percent"

        package var range: ClosedRange<Int64> {
            switch self {
            case .retentionDays: 1...3_650
            case .databaseLimitBytes: 0...(1 << 50)
            case .warningPercent: 10...99
            }
        }
    }

    package var retentionDays: Int64 = 90
    package var databaseLimitBytes: Int64 = 100 << 30
    package var warningPercent: Int64 = 80

    package init() {}

    fileprivate subscript(name: Name) -> Int64 {
        get {
            switch name {
            case .retentionDays: retentionDays
            case .databaseLimitBytes: databaseLimitBytes
            case .warningPercent: warningPercent
            }
        }
        set {
            switch name {
            case .retentionDays: retentionDays = newValue
            case .databaseLimitBytes: databaseLimitBytes = newValue
            case .warningPercent: warningPercent = newValue
            }
        }
    }
}

extension SQLSession {
    func eventOptions() throws -> EventOptions {
        try run("SELECT name, value FROM event_option").reduce(into: EventOptions()) { options, row in
            // A newer version may know options that this one does not.
            guard let name = EventOptions.Name(rawValue: try row.string(0)) else { return }
            options[name] = try row.int(1)
        }
    }
}

extension Store {
    package func eventOptions() async throws -> EventOptions {
        try await database.read { try $0.eventOptions() }
    }

    /// - Throws: `EventStoreError.option`.
    package func set(_ name: EventOptions.Name, to value: Int64) async throws {
        guard name.range.contains(value) else { throw EventStoreError.option(name, value) }
        try await database.query(
            """
            INSERT INTO event_option (name, value) VALUES (\(name.rawValue), \(value))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """)
    }
}
