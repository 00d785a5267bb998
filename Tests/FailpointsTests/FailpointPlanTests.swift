import Foundation
import Testing

@testable import Failpoints

@Suite("Failpoints")
struct FailpointPlanTests {
    @Test("points, actions and occasions are read as documented")
    func reading() throws {
        let plan = try FailpointPlan(
            "after_commit:kill@3, before_commit:sleep(500)\nafter_smtp_250:error@25%,after_put:stop")

        #expect(
            plan.steps == [
                .init(point: .afterCommit, action: .kill, occasion: .only(hit: 3)),
                .init(point: .beforeCommit, action: .sleep(milliseconds: 500), occasion: .always),
                .init(point: .afterSMTP250, action: .error, occasion: .chance(percent: 25)),
                .init(point: .afterPut, action: .stop, occasion: .always),
            ])
        #expect(try FailpointPlan(" \n").steps.isEmpty)
    }

    @Test(
        "what cannot be read is named, with what would be right",
        arguments: [
            ("after_comit:kill", "after_comit"), ("after_commit", "kill, stop, error"),
            ("after_commit:explode", "kill, stop, error"), ("after_commit:sleep(long)", "MILLISECONDS"),
            ("after_commit:sleep(999999999)", "MILLISECONDS"), ("after_commit:kill@", "@3"),
            ("after_commit:kill@0", "@3"), ("after_commit:kill@101%", "@25%"), ("kill", "before_begin"),
        ])
    func mistakes(text: String, advice: String) {
        let mistake = #expect(throws: FailpointPlan.Mistake.self) { try FailpointPlan(text) }
        #expect(mistake?.description.contains(advice) == true, "\(text): \(mistake?.description ?? "")")
    }

    @Test("an action is due the so many-th time only, and every time where nothing is said")
    func occasions() throws {
        let armed = ArmedFailpoints(file: nil)
        armed.arm(try FailpointPlan("after_commit:error@3,before_begin:error"))

        #expect(
            (1...5).map { _ in armed.action(at: .afterCommit) != nil } == [false, false, true, false, false])
        #expect((1...2).allSatisfy { _ in armed.action(at: .beforeBegin) == .error })
        #expect(armed.action(at: .beforeCommit) == nil)
    }

    @Test("a file arms and disarms while the program runs")
    func file() throws {
        let path = NSTemporaryDirectory() + "asm-failpoints-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let armed = ArmedFailpoints(file: path)
        func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }

        #expect(armed.action(at: .afterCommit) == nil)
        try write("after_commit:stop@2")
        #expect(armed.action(at: .afterCommit) == nil)
        #expect(armed.action(at: .afterCommit) == .stop)
        try write("after_commit:error")
        #expect(armed.action(at: .afterCommit) == .error)
        try FileManager.default.removeItem(atPath: path)
        #expect(armed.action(at: .afterCommit) == nil)
    }

    @Test("a place told to fail throws what its caller names, in either form")
    func failing() async throws {
        struct Told: Error {}
        ArmedFailpoints.shared.arm(try FailpointPlan("before_purge:error"))
        defer { ArmedFailpoints.shared.arm(FailpointPlan()) }
        func blocking() throws { try Failpoint.reach(.beforePurge, throwing: Told()) }

        #expect(throws: Told.self) { try blocking() }
        await #expect(throws: Told.self) { try await Failpoint.reach(.beforePurge, throwing: Told()) }
        try await Failpoint.reach(.afterPut, throwing: Told())
    }
}
