import Domain
import Failpoints
import Logging
package import Mail
import ServiceLifecycle
package import Store

/// How a server sends the mails of events.
package struct MailConfiguration: Sendable {
    /// A file of certificates (PEM) that are trusted beside the system's.
    package var authorities: String?
    package var policy = MailPolicy()
    package var limits = MailLimits()

    package init() {}
}

/// Sends the mails of the outbox: claims one, sends it, notes what became of it.
///
/// Every server does so, and none needs another: a mail belongs to whoever holds its lease. A server that dies between a
/// mail server's answer and its note leaves a mail that is sent again with the same Message-ID.
struct MailWorker: Service {
    /// How often each lane looks for mail when there is none.
    static let pace = Duration.seconds(4)

    let store: Store
    let configuration: MailConfiguration
    private let sender: MailSender

    init(store: Store, configuration: MailConfiguration) {
        self.store = store
        self.configuration = configuration
        sender = MailSender(limits: configuration.limits)
    }

    func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                // Lanes of their own, so that one mail server that stalls does not hold up the others' mails.
                let lanes = configuration.limits.threads
                for lane in 0..<lanes {
                    group.addTask { await runLane(startAfter: Self.pace * lane / lanes) }
                }
            }
        }
    }

    private func runLane(startAfter pause: Duration) async {
        // Sleeping ends early only at shutdown, which the loop's condition sees.
        try? await Task.sleep(for: pause)
        while !Task.isCancelled {
            do {
                while !Task.isCancelled, try await sendNext() {}
            } catch {
                Logger.current.warning("The mail outbox cannot be read", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pace)
        }
    }

    /// Sends the mail that has been due the longest.
    /// - Returns: false when none was due.
    func sendNext() async throws -> Bool {
        let claimed = try await store.claimMails(limit: 1, lease: configuration.policy.lease)
        guard let mail = claimed.first else { return false }
        try await Failpoint.reach(.afterClaim, throwing: MailError(.temporary, "a failpoint"))
        guard let entry = mail.entry else {
            try await fail(
                mail, MailError(.permanent, "The e-mail entry that it was to go through has been deleted."))
            return true
        }
        let message = MailMessage(
            to: [mail.recipient], from: entry.settings.from.description, subject: mail.subject,
            body: mail.body,
            date: mail.createdAt)
        let server = MailServer(entry.settings, authorities: configuration.authorities)
        do {
            try await sender.send(message, through: server, messageID: mail.messageID)
        } catch is CancellationError {
            try await store.release(mail)
            return false
        } catch let error as MailError {
            try await fail(mail, error)
            return true
        }
        try await Failpoint.reach(.afterSMTP250, throwing: MailError(.temporary, "a failpoint"))
        if try await !store.recordSent(mail) {
            Logger.current.warning(
                "A mail took longer than its lease; it may have been sent twice with one Message-ID",
                metadata: ["mail.id": "\(mail.id)"])
        }
        return true
    }

    private func fail(_ mail: ClaimedMail, _ error: MailError) async throws {
        let became = try await store.recordFailure(
            of: mail, words: error.words, isFinal: error.kind == .permanent, policy: configuration.policy)
        let facts: Logger.Metadata = [
            "mail.id": "\(mail.id)", "event": "\(mail.event)", "mail.attempts": "\(mail.attempts)",
            "error": "\(error)",
        ]
        switch became {
        case .givenUp: Logger.current.error("An event's mail has been given up", metadata: facts)
        case .triedAgain where error.kind == .configuration:
            Logger.current.error("An event's mail cannot be sent with its settings", metadata: facts)
        case .triedAgain: Logger.current.warning("An event's mail waits for another try", metadata: facts)
        case .notOurs: Logger.current.notice("A mail that failed is another server's now", metadata: facts)
        }
    }
}
