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

    /// The settings that the options stand for.
    var values: [String: String?] { ["mail.ca": mailCa] }
}

extension Settings {
    /// - `mail.ca` (file): certificates of the hospital's own authority.
    /// - `mail.firstRetrySeconds` (1 to 3600, default 30): a mail that failed is tried again after so long, then after
    ///   twice as long, up to an hour.
    /// - `mail.leaseSeconds` (5 to 3600, default 90): a mail that a server was sending when it died is another's after so
    ///   long; a try ends before.
    func mailConfiguration() throws -> MailConfiguration {
        var mail = MailConfiguration()
        if let file = string("mail.ca"), !file.isEmpty {
            guard FileManager.default.isReadableFile(atPath: file) else {
                throw ValidationError("mail.ca: the file '\(file)' cannot be read.")
            }
            mail.authorities = file
        }
        if let seconds = try mailSeconds("mail.firstRetrySeconds", 1...3_600) {
            mail.policy.firstRetry = .seconds(seconds)
        }
        if let seconds = try mailSeconds("mail.leaseSeconds", 5...3_600) {
            mail.policy.lease = .seconds(seconds)
            mail.limits.tryWithin = min(mail.limits.tryWithin, .seconds(seconds) * 2 / 3)
        }
        return mail
    }

    private func mailSeconds(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = string(key) else { return nil }
        guard let seconds = Int(text), range.contains(seconds) else {
            throw ValidationError(
                "\(key) is '\(text)'; expected seconds from \(range.lowerBound) to \(range.upperBound).")
        }
        return seconds
    }
}
