/// Why a mail was not taken, told by what can be done about it, with the server's own words.
package struct MailError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable {
        /// It may go out later: the server is away, busy, or says so (4xx).
        case temporary
        /// It never goes out as it is: the server refuses the recipient or the message (5xx).
        case permanent
        /// It goes out once somebody has changed a setting: the login, the certificate, the kind of encryption.
        case configuration
    }

    /// Bytes of foreign words that are kept.
    static let wordsBytes = 300

    package let kind: Kind
    /// One line: it may be shown and logged.
    package let words: String

    package init(_ kind: Kind, _ words: String) {
        self.kind = kind
        var line = ""
        for scalar in words.unicodeScalars {
            guard line.utf8.count < Self.wordsBytes else { break }
            line.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar)
        }
        while line.last == " " { line.removeLast() }
        self.words = line
    }

    package var description: String {
        switch kind {
        case .temporary: "The mail could not be sent now: \(words)"
        case .permanent: "The mail was refused: \(words)"
        case .configuration: "The mail cannot be sent with these settings: \(words)"
        }
    }
}
