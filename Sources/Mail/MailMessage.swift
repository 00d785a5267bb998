package import Domain

/// One e-mail of plain text, as an administrator gets it.
package struct MailMessage: Sendable, Hashable {
    package var to: [String]
    package var from: String
    package var subject: String
    package var body: String
    /// When what it tells of happened: its Date; nil: the moment at which it is sent.
    package var date: Timestamp?

    package init(to: [String], from: String, subject: String, body: String, date: Timestamp? = nil) {
        self.to = to
        self.from = from
        self.subject = subject
        self.body = body
        self.date = date
    }
}
