import Domain
import Foundation
import Logging
import ServiceLink
import Store
import TransportSecurity

/// Raises *Certificate Expires*: for this server's certificates, and for those that the web tier reports.
struct CertificateEvents: Sendable {
    /// What a report may be long; a longer one is refused.
    static let textBytes = 200
    /// Hexadecimal digits of a fingerprint.
    static let fingerprintDigits = 64

    let store: Store
    var clock: @Sendable () -> Date = { Date() }
    let quota = ReportQuota()

    /// Watches this server's own certificates.
    func watch(_ security: SecurityFiles, of component: String) -> CertificateExpiry {
        CertificateExpiry(certificates: { security.certificates }, clock: clock) { notice in
            do {
                try await raise(
                    subject: notice.certificate.subject, fingerprint: notice.certificate.fingerprint,
                    notAfter: notice.certificate.notAfter, days: notice.days, component: component)
            } catch {
                Logger.current.warning(
                    "A certificate's end could not be told of yet", metadata: ["error": "\(error)"])
                throw error
            }
        }
    }

    /// Answers a report of the web tier, which has no database of its own.
    ///
    /// A process reports the certificate of this very connection, and what is told is what this server sees of it. What
    /// no server sees is the certificate for browsers: of those a process may report a few a day, so that nobody floods
    /// administrators with what he has made up.
    func answer(_ report: LinkReportCertificate, from peer: LinkPeer) async throws -> LinkResponse.OneOf_Body
    {
        guard report.fingerprint.utf8.count == Self.fingerprintDigits,
            report.fingerprint.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            report.subject.utf8.count <= Self.textBytes, report.component.utf8.count <= Self.textBytes,
            !report.subject.holdsControls, !report.component.holdsControls
        else {
            throw Refusal(.badRequest, "This is no report of a certificate.")
        }
        let own = peer.certificate.flatMap { $0.fingerprint == report.fingerprint ? $0 : nil }
        let subject = own.map { String($0.subject.prefix(Self.subjectCharacters)) } ?? report.subject
        let notAfter = own?.notAfter ?? Date(timeIntervalSince1970: TimeInterval(report.notAfter))
        guard let days = CertificateExpiry.threshold(notAfter: notAfter, now: clock()) else {
            return .done(LinkDone())
        }
        if own == nil {
            let reporter = peer.certificate?.fingerprint ?? peer.address
            guard quota.allows(report.fingerprint, from: reporter, at: .now) else {
                throw Refusal(
                    .tooManyRequests,
                    "This process has reported \(ReportQuota.perDay) certificates that are not its connection's today.",
                    retryAfterMilliseconds: 3_600_000)
            }
        }
        try await raise(
            subject: subject, fingerprint: report.fingerprint, notAfter: notAfter, days: days,
            component: report.component)
        return .done(LinkDone())
    }

    /// So that a subject fits whatever its characters are.
    private static let subjectCharacters = 50

    private func raise(
        subject: String, fingerprint: String, notAfter: Date, days: Int, component: String
    ) async throws {
        let end = notAfter.utc
        let left = notAfter.timeIntervalSince(clock())
        let when = left > 0 ? "expires in \(Int(left / 86_400)) days, on \(end)" : "expired on \(end)"
        try await store.raise(
            EventReport(
                event: .certificateExpires, summary: "The certificate \(subject) of \(component) \(when).",
                details: """
                    Component: \(component)
                    Certificate: \(subject)
                    SHA-256: \(fingerprint)
                    Expires: \(end)

                    From then on nobody connects to it, or it to nobody. Issue a new certificate (asm certificates \
                    issue NAME --replace, or the authority that issued this one) and put its files in the place of \
                    the old ones: they are taken without a restart.
                    """,
                key: CertificateExpiry.Notice.key(fingerprint, days: days)))
    }
}
