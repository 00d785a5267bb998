package import Foundation

/// What is wrong with a file of certificates or keys, with what to do about it.
package enum SecurityFileError: Error, Hashable, Sendable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case tooLarge(file: String)
    case noCertificate(file: String)
    case damagedCertificate(file: String)
    case noKey(file: String)
    case encryptedKey(file: String)
    case damagedKey(file: String)
    case otherKey(file: String, certificate: String)
    case expired(file: String, subject: String, since: Date)
    case notYetValid(file: String, subject: String, until: Date)
    case notAuthority(file: String, subject: String)
    case authorityInstead(file: String, subject: String)
    case notForUse(file: String, subject: String, use: String)
    case otherRole(file: String, subject: String, roles: String, wanted: String)
    case refusedByTLS(file: String, reason: String)
    case exists(file: String)
    case unwritable(file: String, reason: String)

    package var description: String {
        switch self {
        case .unreadable(let file, let reason): "‘\(file)’ cannot be read: \(reason)"
        case .tooLarge(let file):
            "‘\(file)’ is larger than \(SecurityFile.byteLimit) bytes, which no file of certificates or keys is"
        case .noCertificate(let file):
            "‘\(file)’ holds no certificate; expected PEM text that begins with -----BEGIN CERTIFICATE-----"
        case .damagedCertificate(let file):
            "‘\(file)’ holds a certificate that cannot be read: copy the file anew, or issue another one"
        case .noKey(let file):
            "‘\(file)’ holds no private key; expected PEM text that begins with -----BEGIN PRIVATE KEY-----"
        case .encryptedKey(let file):
            "the private key in ‘\(file)’ is encrypted, and nobody is there to type its passphrase: decrypt it "
                + "with ‘openssl pkey -in \(file) -out NEW.key’ and keep the new file readable by its owner only"
        case .damagedKey(let file):
            "‘\(file)’ holds a private key that cannot be read; expected an EC (P-256, P-384, P-521), RSA or "
                + "Ed25519 key in PEM"
        case .otherKey(let file, let certificate):
            "the private key in ‘\(file)’ does not belong to the certificate in ‘\(certificate)’: give the two "
                + "files that were made together"
        case .expired(let file, let subject, let since):
            "the certificate \(subject) in ‘\(file)’ expired on \(since.utc): issue a new one"
        case .notYetValid(let file, let subject, let until):
            "the certificate \(subject) in ‘\(file)’ is valid only from \(until.utc) on: check this machine's clock"
        case .notAuthority(let file, let subject):
            "the certificate \(subject) in ‘\(file)’ is not that of a certificate authority; expected the ca.pem "
                + "that ‘asm certificates init’ made"
        case .authorityInstead(let file, let subject):
            "the certificate \(subject) in ‘\(file)’ is that of a certificate authority; issue one for this "
                + "process with ‘asm certificates issue’, and leave the authority's key where it is"
        case .notForUse(let file, let subject, let use):
            "the certificate \(subject) in ‘\(file)’ is not for use as a \(use): issue one that is"
        case .otherRole(let file, let subject, let roles, let wanted):
            "the certificate \(subject) in ‘\(file)’ is for the role \(roles), and here one for \(wanted) is needed: "
                + "issue it with ‘asm certificates issue NAME --role ROLE’"
        case .refusedByTLS(let file, let reason): "‘\(file)’ cannot be used for TLS: \(reason)"
        case .exists(let file): "‘\(file)’ exists already and is left as it is"
        case .unwritable(let file, let reason): "‘\(file)’ cannot be written: \(reason)"
        }
    }
}

extension Date {
    /// As people read it, to the minute.
    package var utc: String {
        let style = Date.ISO8601FormatStyle(dateTimeSeparator: .space, timeZone: .gmt)
        return String(formatted(style).prefix(16)) + " UTC"
    }
}
