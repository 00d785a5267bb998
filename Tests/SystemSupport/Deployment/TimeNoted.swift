import Foundation
import Glibc
import Testing

/// Notes how long each test of a suite ran, a line each, in the file that `ASM_TEST_TIMES` names.
///
/// Swift Testing's own figures count the wait for a turn too, where several tests run at once.
struct TimeNoted: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let begin = ContinuousClock.now
        defer {
            Self.note("\((ContinuousClock.now - begin) / .seconds(1))\t\(test.displayName ?? test.name)\n")
        }
        try await function()
    }

    /// A short line in one write: others may note theirs at the same moment.
    private static func note(_ line: String) {
        guard let path = ProcessInfo.processInfo.environment["ASM_TEST_TIMES"] else { return }
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        defer { close(file) }
        let bytes = Array(line.utf8)
        _ = write(file, bytes, bytes.count)
    }
}

extension Trait where Self == TimeNoted {
    /// How long each test ran is noted, for the list of the slowest.
    static var timeNoted: Self { TimeNoted() }
}
