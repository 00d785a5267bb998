/// What an administrator may be told of: the events of the Notifications page, by the names that stand there.
///
/// docs/events.md says of each what it means and what to do.
package enum SystemEvent: String, Hashable, Sendable, CaseIterable {
    case archiveSizeExceeded = "Archive Size Exceeded"
    case archiveSizeWarning = "Archive Size Warning"
    case attachmentLicensesExceeded = "Attachment Licenses Exceeded"
    case attachmentLicensesWarning = "Attachment Licenses Warning"
    case certificateExpires = "Certificate Expires"
    case databaseSizeExceeded = "Database Size Exceeded"
    case databaseSizeWarning = "Database Size Warning"
    case deviceConflict = "Device Conflict"
    case deviceRegistered = "Device Registered"
    case groupLicensesExceeded = "Group Licenses Exceeded"
    case groupLicensesWarning = "Group Licenses Warning"
    case licenseExpirationWarning = "License Expiration Warning"
    case licenseLimitExceeded = "License Limit Exceeded"
    case roleLicensesExceeded = "Role Licenses Exceeded"
    case roleLicensesWarning = "Role Licenses Warning"
    case serverInactive = "Server Inactive"
    case serverUnlicensed = "Server Unlicensed"
    case serverUnreachable = "Server Unreachable"
    case userLockedOut = "User Locked Out"

    /// Finds an event by its name, in any case, with spaces or hyphens.
    package init?(named text: String) {
        let wanted = text.lowercased().split { $0 == " " || $0 == "-" }
        let found = Self.allCases.first {
            $0.rawValue.lowercased().split(separator: " ") == wanted
        }
        guard let found else { return nil }
        self = found
    }

    /// What holds for an event that nobody has set otherwise.
    package var defaults: EventSettings {
        switch self {
        case .deviceConflict, .deviceRegistered, .userLockedOut, .serverUnreachable:
            // Frequent, or about one person: whoever wants mail of these says so.
            EventSettings(usesDefault: false, isLogged: true)
        default:
            EventSettings(usesDefault: true, isLogged: true)
        }
    }
}

/// The two check boxes of an event.
package struct EventSettings: Hashable, Sendable {
    /// *Use Default*: it is mailed to the default e-mail entry.
    package var usesDefault: Bool
    /// *Log Event*: it is kept in the event log.
    package var isLogged: Bool

    package init(usesDefault: Bool, isLogged: Bool) {
        self.usesDefault = usesDefault
        self.isLogged = isLogged
    }
}
