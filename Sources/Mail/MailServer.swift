package import Domain

/// A server that takes mail, and how it is spoken to.
package struct MailServer: Sendable, Hashable {
    package var host: String
    package var port: Int
    package var security: MailSecurity
    /// nil: the server is told no name.
    package var login: String?
    package var password: Sealed<String>
    /// A file of certificates (PEM) that are trusted beside the system's: for a hospital with a CA of its own.
    package var authorities: String?

    package init(
        host: String, port: Int, security: MailSecurity, login: String? = nil,
        password: Sealed<String> = Sealed(""), authorities: String? = nil
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.login = login
        self.password = password
        self.authorities = authorities
    }

    /// The server of an e-mail entry.
    package init(_ settings: MailSettings, authorities: String?) {
        self.init(
            host: settings.server, port: settings.port, security: settings.security,
            login: settings.login.isEmpty ? nil : settings.login, password: settings.password,
            authorities: authorities)
    }

    var url: String {
        let scheme = security == .implicitTLS ? "smtps" : "smtp"
        return "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}
