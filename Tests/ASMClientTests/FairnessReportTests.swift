import Synthetic
import Testing

@testable import Bench

@Suite("The verdict of asm bench fairness")
struct FairnessReportTests {
    private func times(p99 milliseconds: UInt64, failures: [String] = []) -> FairnessProbe.Times {
        var times = FairnessProbe.Times()
        for _ in 0..<1_000 {
            times.send.record(milliseconds * 1_000_000)
            times.inbox.record(milliseconds * 1_000_000)
            times.logIn.record(milliseconds * 1_000_000)
        }
        times.failures = failures
        return times
    }

    private func faults(
        quiet: FairnessProbe.Times, attacked: FairnessProbe.Times, heartbeats: Int? = 0
    ) -> [String] {
        FairnessReport(quiet: quiet, attacked: attacked, answers: [:], heartbeatFailures: heartbeats)
            .report.faults
    }

    @Test("Less than twice as slow and 20 ms passes, more does not")
    func verdict() {
        #expect(faults(quiet: times(p99: 10), attacked: times(p99: 38)).isEmpty)
        #expect(faults(quiet: times(p99: 10), attacked: times(p99: 42)).count == 3)
        #expect(faults(quiet: times(p99: 100), attacked: times(p99: 200)).isEmpty)
        #expect(faults(quiet: times(p99: 100), attacked: times(p99: 240)).count == 3)
    }

    @Test("A refused request of who is measured, a failed heartbeat and a run without figures fail it")
    func faultsOfOtherKinds() {
        #expect(
            faults(quiet: times(p99: 10), attacked: times(p99: 10, failures: ["busy"])) == [
                "under attack: busy"
            ])
        #expect(
            faults(quiet: times(p99: 10), attacked: times(p99: 10), heartbeats: 2) == ["2 heartbeats failed"])
        #expect(faults(quiet: times(p99: 10), attacked: times(p99: 10), heartbeats: nil).isEmpty)
        #expect(faults(quiet: times(p99: 10), attacked: FairnessProbe.Times()).count == 3)
    }
}
