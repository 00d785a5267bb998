import Synthetic

/// Tells the operator at once when answers stay away and when they come again.
struct Monitor: Sendable {
    static let tellAfter = Duration.milliseconds(500)
    private static let every = Duration.milliseconds(100)

    let ledger: DrillLedger
    let progress: @Sendable (String) -> Void

    func run() async throws {
        var beganAt: Duration?
        while true {
            try await Task.sleep(for: Self.every)
            let now = ledger.now
            let standings = ledger.standings
            let waiting = standings.compactMap(\.waitingSince).filter { now - $0 > Self.tellAfter }
            if let first = waiting.min(), beganAt == nil {
                beganAt = first
                progress(
                    "\(now.rounded(1)) s: no answers on \(waiting.count) of \(standings.count) sessions …")
            } else if waiting.isEmpty, let began = beganAt {
                beganAt = nil
                progress(
                    "\(now.rounded(1)) s: all sessions are answered again, after \((now - began).rounded(1)) s"
                )
            }
        }
    }
}
