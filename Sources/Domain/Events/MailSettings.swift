/// An e-mail entry of the Notifications page: whom to write to, and through which server.
///
/// One that exists has been checked: nothing in it can end a line of a mail or of a command to a server.
package struct MailSettings: Hashable, Sendable {
    package static let mostRecipients = 20
    package static let longestSubjectBytes = 200
    package static let longestLoginBytes = 256
    package static let longestPasswordBytes = 1_024
    static let longestServerBytes = 253

    /// *To*: each address gets a mail of its own.
    package let to: [MailAddress]
    /// *From*
    package let from: MailAddress
    /// *Subject*; empty: the name of the event.
    package let subject: String
    /// *Server*: a host name or an IP address.
    package let server: String
    package let port: Int
    /// *Login*; empty: none.
    package let login: String
    package let password: Sealed<String>
    package let security: MailSecurity

    /// Checks what an administrator wrote.
    /// - Parameter port: nil: the usual port for the kind of connection.
    package init(
        to: String, from: String, subject: String = "", server: String, port: Int? = nil, login: String = "",
        password: Sealed<String> = Sealed(""), security: MailSecurity
    ) throws(MailSettingsError) {
        self.to = try MailAddress.list(to)
        self.from = try MailAddress(from)
        guard !subject.holdsControls else { throw .lineBreak("Subject") }
        guard subject.utf8.count <= Self.longestSubjectBytes else {
            throw .tooLong("Subject", limitBytes: Self.longestSubjectBytes)
        }
        self.subject = subject.trimmingSpaces
        self.server = try Self.checkedServer(server)
        self.port = port ?? security.usualPort
        guard (1...65_535).contains(self.port) else { throw .port(self.port) }
        guard !login.holdsControls else { throw .lineBreak("Login") }
        guard login.utf8.count <= Self.longestLoginBytes else {
            throw .tooLong("Login", limitBytes: Self.longestLoginBytes)
        }
        guard !password.open.holdsControls else { throw .lineBreak("Password") }
        guard password.open.utf8.count <= Self.longestPasswordBytes else {
            throw .tooLong("Password", limitBytes: Self.longestPasswordBytes)
        }
        guard login.isEmpty == password.open.isEmpty else {
            throw login.isEmpty ? .passwordWithoutLogin : .loginWithoutPassword
        }
        self.login = login
        self.password = password
        self.security = security
    }

    private static func checkedServer(_ text: String) throws(MailSettingsError) -> String {
        var host = text.trimmingSpaces[...]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        let isIPv6 =
            host.filter { $0 == ":" }.count >= 2
            && host.allSatisfy { $0.isHexDigit && $0.isASCII || $0 == ":" || $0 == "." }
        let isName =
            host.allSatisfy { $0.isLetterOrDigit || $0 == "." || $0 == "-" || $0 == "_" } && host.first != "-"
        guard !host.isEmpty, host.utf8.count <= longestServerBytes, isIPv6 || isName else { throw .server }
        return String(host)
    }

    /// Whether the login's password would cross a network that anybody may read.
    package var showsPassword: Bool {
        let isHere = server == "localhost" || server.hasPrefix("127.") || server == "::1"
        return !login.isEmpty && security == .plain && !isHere
    }
}

/// How a connection to a mail server is protected: the check boxes *Use TLS* and *Encrypted*.
package enum MailSecurity: String, Hashable, Sendable, CaseIterable {
    /// Neither.
    case plain
    /// *Use TLS*: the connection begins plain and must become encrypted (STARTTLS) before anything is said.
    case startTLS
    /// *Encrypted*: TLS from the first byte on.
    case implicitTLS

    package init(usesTLS: Bool, isEncrypted: Bool) throws(MailSettingsError) {
        switch (usesTLS, isEncrypted) {
        case (true, true): throw .bothKindsOfTLS
        case (true, false): self = .startTLS
        case (false, true): self = .implicitTLS
        case (false, false): self = .plain
        }
    }

    package var usesTLS: Bool { self == .startTLS }
    package var isEncrypted: Bool { self == .implicitTLS }

    package var usualPort: Int {
        switch self {
        case .plain: 25
        case .startTLS: 587
        case .implicitTLS: 465
        }
    }
}

/// Why an e-mail entry cannot be as it was written.
package enum MailSettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    case address(String, String)
    case tooManyRecipients(Int)
    case lineBreak(String)
    case tooLong(String, limitBytes: Int)
    case server
    case port(Int)
    case passwordWithoutLogin
    case loginWithoutPassword
    case bothKindsOfTLS

    package var description: String {
        switch self {
        case .address(let address, let reason): "The address '\(address)' cannot be used: \(reason)."
        case .tooManyRecipients(let count):
            """
            To names \(count) addresses; an entry takes at most \(MailSettings.mostRecipients). Add another entry, \
            or let the mail server keep a list.
            """
        case .lineBreak(let field): "\(field) holds a line break or another control character; remove it."
        case .tooLong(let field, let limit): "\(field) is longer than \(limit) bytes."
        case .server: "Server is the name or the IP address of a mail server, such as mail.hospital.example."
        case .port(let port): "The port \(port) does not exist; expected 1 to 65535 (usually 25, 465 or 587)."
        case .passwordWithoutLogin: "There is a password but no login: give both or neither."
        case .loginWithoutPassword: "There is a login but no password: give both or neither."
        case .bothKindsOfTLS:
            """
            Use TLS and Encrypted exclude each other: Use TLS begins plain and switches (STARTTLS, usually port 587), \
            Encrypted is encrypted from the first byte (usually port 465). Choose the one that the server offers.
            """
        }
    }
}
