package import Foundation
import ServiceLifecycle

/// Tells when certificates come near their end: 30, 7 and 1 days before, each once.
package struct CertificateExpiry: Service {
    /// How many days before the end is told.
    package static let thresholds = [30, 7, 1]
    /// How often certificates are looked at.
    package static let lookEvery = Duration.seconds(3_600)
    /// After a report that failed, how long until the next look.
    package static let retryAfter = Duration.seconds(60)

    /// One certificate at one threshold.
    package struct Notice: Hashable, Sendable {
        package let certificate: CertificateDetails
        /// The threshold that has been passed.
        package let days: Int
        package let daysLeft: Int
        /// The same for the same certificate and threshold, wherever it is noticed.
        package var key: String { Notice.key(certificate.fingerprint, days: days) }

        package static func key(_ fingerprint: String, days: Int) -> String {
            "certificate/\(fingerprint)/\(days)"
        }
    }

    private let certificates: @Sendable () -> [CertificateDetails]
    private let clock: @Sendable () -> Date
    private let pause: @Sendable (Duration) async throws -> Void
    private let report: @Sendable (Notice) async throws -> Void

    /// - Parameter certificates: those in use now.
    /// - Parameter report: tells about one; when it throws, it is tried again.
    package init(
        certificates: @escaping @Sendable () -> [CertificateDetails],
        clock: @escaping @Sendable () -> Date = { Date() },
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        report: @escaping @Sendable (Notice) async throws -> Void
    ) {
        self.certificates = certificates
        self.clock = clock
        self.pause = pause
        self.report = report
    }

    /// The last threshold that a certificate has passed; nil while it has more than 30 days.
    package static func threshold(notAfter: Date, now: Date) -> Int? {
        let left = notAfter.timeIntervalSince(now)
        return thresholds.filter { left <= TimeInterval($0) * 86_400 }.min()
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            var told: Set<String> = []
            while !Task.isCancelled {
                let isDone = await look(&told)
                try await pause(isDone ? Self.lookEvery : Self.retryAfter)
            }
        }
    }

    /// - Returns: whether everything that is due has been told.
    func look(_ told: inout Set<String>) async -> Bool {
        let now = clock()
        var isDone = true
        var due: Set<String> = []
        for certificate in certificates() {
            guard let days = Self.threshold(notAfter: certificate.notAfter, now: now) else { continue }
            let notice = Notice(certificate: certificate, days: days, daysLeft: certificate.daysLeft(at: now))
            due.insert(notice.key)
            guard !told.contains(notice.key) else { continue }
            // Who reports knows why it failed, and says so; here it is only due again.
            do { try await report(notice) } catch { isDone = false; continue }
            told.insert(notice.key)
        }
        told.formIntersection(due)
        return isDone
    }
}
