import ASMService
import ArgumentParser
import Foundation
import Mail
import Store

/// How mail is sent from this machine.
struct MailOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Certificates (PEM) that mail servers may show beside those that the system trusts.",
            valueName: "file"))
    var mailCa: String?

    @Option(
        help: ArgumentHelp(
            "A mail that failed is tried again after so long, then after twice as long, up to an hour.",
            visibility: .hidden), transform: seconds(1...3_600))
    var mailFirstRetrySeconds: Duration?

    @Option(
        help: ArgumentHelp(
            "A mail that a server was sending when it died is another's after so long; a try ends before.",
            visibility: .hidden), transform: seconds(5...3_600))
    var mailLeaseSeconds: Duration?

    func configuration() throws -> MailConfiguration {
        var mail = MailConfiguration()
        if let mailCa, !mailCa.isEmpty {
            guard FileManager.default.isReadableFile(atPath: mailCa) else {
                throw ValidationError("--mail-ca: the file '\(mailCa)' cannot be read.")
            }
            mail.authorities = mailCa
        }
        if let mailFirstRetrySeconds { mail.policy.firstRetry = mailFirstRetrySeconds }
        if let mailLeaseSeconds {
            mail.policy.lease = mailLeaseSeconds
            mail.limits.tryWithin = min(mail.limits.tryWithin, mailLeaseSeconds * 2 / 3)
        }
        return mail
    }
}
