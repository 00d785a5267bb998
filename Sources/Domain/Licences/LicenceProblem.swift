/// Why a licence is not taken; each says what to do, and nothing has been changed.
package enum LicenceProblem: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case notALicence
    case cutShort
    case unreadable(field: String)
    /// The signature does not belong to the text.
    case forged
    /// Signed by a key that this installation does not trust.
    case unknownIssuer(fingerprint: String, trusted: String)
    case otherInstallation(named: Token128, here: Token128)
    case expired(Timestamp)
    /// The licence was issued after what the database's clock shows.
    case issuedInFuture(Timestamp, now: Timestamp)
    /// A limit that stops everything.
    case noServer
    /// One that was issued later is installed.
    case olderThanInstalled(Timestamp, installed: Timestamp)

    package var description: String {
        switch self {
        case .empty:
            "The file is empty: save the license from the mail of its issuer again, and install that."
        case .notALicence:
            "The file is no ASM license: it has no line '\(LicenceText.first)' followed by fields. Install the file that the issuer sent."
        case .cutShort:
            "The license is cut short: copy everything from '\(LicenceText.first)' to '\(LicenceText.last)'."
        case .unreadable(let field):
            "The license's field '\(field)' cannot be read: it was changed on its way, or is of a newer version. Ask the issuer to send it again as a file."
        case .forged:
            "The signature does not belong to this text: the license was changed after it was issued. Install the file as the issuer sent it."
        case .unknownIssuer(let fingerprint, let trusted):
            "The license is signed by issuer \(fingerprint), but this installation trusts \(trusted). If the issuer has a new key, compare the fingerprint with the issuer's own word for it and repeat with --trust \(fingerprint)."
        case .otherInstallation(let named, let here):
            "The license is for installation \(named); this one is \(here). Send that number to the issuer and ask for a license for it."
        case .expired(let time):
            "The license expired at \(CalendarTime(time).text): ask the issuer for a new one. (If that is wrong, check the database server's clock.)"
        case .issuedInFuture(let issued, let now):
            "The license was issued at \(CalendarTime(issued).text), but the database server's clock shows \(CalendarTime(now).text): correct the clock that is wrong, then install it again."
        case .noServer: "The license allows no server at all: ask the issuer for one with at least 1."
        case .olderThanInstalled(let issued, let installed):
            "A license issued at \(CalendarTime(installed).text) is installed, and this one is older (\(CalendarTime(issued).text)). To go back to it all the same, run `asm license remove` first."
        }
    }
}
