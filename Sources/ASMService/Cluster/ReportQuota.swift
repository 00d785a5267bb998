import Synchronization

/// How many certificates one process of the web tier may report that are not its connection's.
///
/// It has one for browsers. Each new one is an event and, as a rule, a mail.
final class ReportQuota: Sendable {
    static let perDay = 2
    /// Reporters remembered; beyond it all are forgotten, and the count begins anew.
    static let reporters = 1_024
    private static let day = Duration.seconds(86_400)

    private struct Reports {
        var fingerprints: Set<String> = []
        var since: ContinuousClock.Instant
    }

    private let reports = Mutex<[String: Reports]>([:])

    /// Whether the report may go on; one that was allowed today is allowed again.
    /// - Parameter reporter: the fingerprint of its certificate on the link, or its address where it has none.
    func allows(_ fingerprint: String, from reporter: String, at now: ContinuousClock.Instant) -> Bool {
        reports.withLock { reports in
            if reports[reporter] == nil, reports.count >= Self.reporters { reports.removeAll() }
            var own = reports[reporter] ?? Reports(since: now)
            if now - own.since >= Self.day { own = Reports(since: now) }
            guard own.fingerprints.contains(fingerprint) || own.fingerprints.count < Self.perDay else {
                return false
            }
            own.fingerprints.insert(fingerprint)
            reports[reporter] = own
            return true
        }
    }
}
