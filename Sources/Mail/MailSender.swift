import Domain
import Foundation
import NIOPosix
import Synchronization

/// The numbers that bound the sending of mail.
package struct MailLimits: Sendable, Hashable {
    package var connectWithin = Duration.seconds(15)
    /// One try, from the look-up of the server's name to its last answer.
    package var tryWithin = Duration.seconds(60)
    /// Mails on their way at once.
    package var threads = 4
    /// Mails that may wait for a thread; more are told to come later.
    package var waiting = 100

    package init() {}
}

/// Sends mail over SMTP, encrypted as the server's settings say or not at all.
///
/// libcurl blocks, so it works on threads of its own. A mail whose outcome is not known is sent again by its caller
/// with the same Message-ID.
package final class MailSender: Sendable {
    private let limits: MailLimits
    private let threads: NIOThreadPool
    private let queued = Mutex(0)

    package init(limits: MailLimits = MailLimits()) {
        self.limits = limits
        threads = NIOThreadPool(numberOfThreads: limits.threads)
        threads.start()
    }

    /// Hands a mail to a server.
    /// - Parameter messageID: `<left@right>`; the same at every try of the same mail.
    /// - Throws: `MailError`, or `CancellationError` when the server certainly does not have the whole mail.
    package func send(_ message: MailMessage, through server: MailServer, messageID: String) async throws {
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
        let text = try MailText.bytes(of: message, messageID: messageID, at: now)
        let transfer = MailTransfer(
            text, from: try MailText.address(message.from), to: try message.to.map(MailText.address),
            through: server, limits: limits)
        let isFull = queued.withLock { queued in
            guard queued < limits.threads + limits.waiting else { return true }
            queued += 1
            return false
        }
        guard !isFull else { throw MailError(.temporary, "Too many mails are being sent at the moment.") }
        defer { queued.withLock { $0 -= 1 } }
        try await withTaskCancellationHandler {
            try await threads.runIfActive { try transfer.perform() }
        } onCancel: {
            transfer.cancel()
        }
    }
}
