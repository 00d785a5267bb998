import Domain
import Foundation
package import TransportSecurity

/// Tells an ASM Service when a certificate of this process comes near its end: only there are events kept.
package struct CertificateReports: Sendable {
    private let pool: LinkPool
    private let component: String

    /// - Parameter component: what this process is called in the event.
    package init(pool: LinkPool, component: String) {
        self.pool = pool
        self.component = component
    }

    /// Watches the own certificate of some files. Those of the link's authorities are watched by the ASM Services, which
    /// trust the same ones.
    package func watch(_ security: SecurityFiles) -> CertificateExpiry {
        let (pool, component) = (pool, "\(component), \(security.purpose.rawValue)")
        return CertificateExpiry(certificates: { [security.certificate] }) { notice in
            var report = LinkReportCertificate()
            report.subject = String(notice.certificate.subject.prefix(Self.subjectCharacters))
            report.fingerprint = notice.certificate.fingerprint
            report.notAfter = Int64(notice.certificate.notAfter.timeIntervalSince1970)
            report.component = component
            _ = try await pool.request(.reportCertificate(report), token: nil)
        }
    }

    /// So that it fits the report whatever its characters are.
    private static let subjectCharacters = 50
}
