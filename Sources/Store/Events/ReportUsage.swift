package import Domain
package import SQLDatabase

/// How much of something is used, and what there is.
package struct UsageReport: Sendable {
    /// What has a limit that raises events.
    package enum Subject: String, Sendable, CaseIterable {
        case database
        case archive
        case attachmentLicenses
        case groupLicenses
        case roleLicenses

        var events: (warning: SystemEvent, exceeded: SystemEvent) {
            switch self {
            case .database: (.databaseSizeWarning, .databaseSizeExceeded)
            case .archive: (.archiveSizeWarning, .archiveSizeExceeded)
            case .attachmentLicenses: (.attachmentLicensesWarning, .attachmentLicensesExceeded)
            case .groupLicenses: (.groupLicensesWarning, .groupLicensesExceeded)
            case .roleLicenses: (.roleLicensesWarning, .roleLicensesExceeded)
            }
        }

        var isBytes: Bool { self == .database || self == .archive }

        var words: String {
            switch self {
            case .database: "The database"
            case .archive: "The archive"
            case .attachmentLicenses: "Users who send attachments"
            case .groupLicenses: "Groups"
            case .roleLicenses: "Roles"
            }
        }

        var advice: String {
            switch self {
            case .database:
                """
                Make room for the database, or raise `asm events options --database-limit`. A full disk stops every \
                message.
                """
            case .archive: "Make room for the archive, or shorten how long it is kept."
            case .attachmentLicenses, .groupLicenses, .roleLicenses:
                "What exists goes on working; no more can be added beyond the licence."
            }
        }
    }

    package var subject: Subject
    package var used: Int64
    /// 0: none.
    package var limit: Int64
    package var customer: Customer.ID?
    package var threshold: UsageThreshold

    package init(
        _ subject: Subject, used: Int64, limit: Int64, customer: Customer.ID? = nil,
        threshold: UsageThreshold = UsageThreshold()
    ) {
        self.subject = subject
        self.used = used
        self.limit = limit
        self.customer = customer
        self.threshold = threshold
    }
}

extension SQLSession {
    /// What is still exceeded is told again after so long.
    package static var exceededAgainMicroseconds: Int64 { 24 * 3_600 * 1_000_000 }

    /// Compares usage with its limit and raises the subject's *Warning* or *Exceeded* when it has come to that: once per
    /// crossing, and *Exceeded* again each 24 hours while it lasts.
    ///
    /// The one way by which these events are raised: whatever adds to what is counted, or counts it periodically, calls
    /// this in its transaction.
    @discardableResult
    package func reportUsage(_ report: UsageReport) throws -> UsageLevel {
        let key = [report.subject.rawValue, report.customer.map(\.description)].compactMap { $0 }
            .joined(separator: "/")
        // An update of nothing: two servers that report at once come one after the other.
        let row = try run(
            """
            INSERT INTO usage_level (subject, level, raised_at) VALUES (\(key), 0, 0)
            ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
            RETURNING level, \(.now) - raised_at
            """)[0]
        let previous = UsageLevel(rawValue: try row.int(0)) ?? .normal
        let level = report.threshold.level(used: report.used, limit: report.limit, from: previous)
        let isDueAgain =
            try level == .exceeded && previous == .exceeded && row.int(1) >= Self.exceededAgainMicroseconds
        guard level != previous || isDueAgain else { return level }
        if level > previous || isDueAgain { try raise(report.event(at: level)) }
        try run(
            """
            UPDATE usage_level SET level = \(level.rawValue),
                raised_at = CASE WHEN \(level > previous || isDueAgain) = 1 THEN \(.now) ELSE raised_at END
            WHERE subject = \(key)
            """)
        return level
    }
}

extension Store {
    /// Reports usage by itself, for those who count now and then.
    @discardableResult
    package func reportUsage(_ report: UsageReport) async throws -> UsageLevel {
        try await database.write { try $0.reportUsage(report) }
    }
}

extension UsageReport {
    fileprivate func event(at level: UsageLevel) -> EventReport {
        let percent = Int(Double(used) / Double(max(limit, 1)) * 100)
        let amounts =
            subject.isBytes
            ? "\(Self.mebibytes(used)) of \(Self.mebibytes(limit)) MiB" : "\(used) of \(limit)"
        let state = level == .exceeded ? "has reached its limit" : "is near its limit"
        let words = subject.isBytes ? "\(subject.words) \(state)" : "\(subject.words): the licence \(state)"
        return EventReport(
            event: level == .exceeded ? subject.events.exceeded : subject.events.warning,
            summary: "\(words): \(amounts) (\(percent) %).", details: subject.advice, customer: customer)
    }

    private static func mebibytes(_ bytes: Int64) -> Int64 { (bytes + (1 << 20) - 1) >> 20 }
}
