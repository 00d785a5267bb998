import Foundation
import Testing

@testable import SystemSupport

extension CommandTests {
    @Suite("The programs that tests start")
    struct ProgramTests {
        @Test("a program that has ended leaves no open file behind", .timeLimit(.minutes(1)))
        func openFiles() async throws {
            func openFiles() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            }
            try await Program("true", path: "/bin/true", []).ended()
            let before = try openFiles()

            for _ in 0..<30 { try await Program("true", path: "/bin/true", []).ended() }

            // The last ones are closed just after the end is known, and other threads open files of their own.
            let end = ContinuousClock.now + .seconds(5)
            while try openFiles() > before + 10, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try openFiles() <= before + 10)
        }
    }
}
