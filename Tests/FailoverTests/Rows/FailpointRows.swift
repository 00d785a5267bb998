import Foundation
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("ASM Services that die at a chosen place", .serialized)
    struct FailpointRows {
        @Test("F02: an ASM Service dies between commit and answer", .timeLimit(.minutes(4)))
        func f02() async throws {
            try await dying(
                "F02", at: "after_commit",
                expected: "the repeat is answered as one: 0 doubled, 0 lost; gap ≤ 7 s")
        }

        /// Each ASM Service in turn is made to die at a failpoint, twice; the program is the debug build's.
        private func dying(_ row: String, at point: String, expected: String) async throws {
            try await runRow(
                row, injected: "an ASM Service kills itself at the failpoint \(point); each in turn, twice",
                expected: expected, Expectation(gap: .seconds(7))
            ) { site, row in
                let file = site.folder + "/failpoints"
                try "".write(toFile: file, atomically: true, encoding: .utf8)
                for _ in 0..<2 {
                    for (server, other) in zip(site.services, site.services.reversed()) {
                        try await server.kill()
                        server.live(with: ["ASM_FAILPOINT_FILE": file], program: try Program.asmPath())
                        try await server.startServing()
                        try await site.untilServing()
                        // Everybody's session goes to the one that is to die.
                        try await other.kill()
                        try await other.startServing()
                        try await site.untilServing()
                        row.inject()
                        try "\(point):kill@5".write(toFile: file, atomically: true, encoding: .utf8)
                        try await server.untilDead()
                        try "".write(toFile: file, atomically: true, encoding: .utf8)
                        try await server.startServing()
                        try await site.untilServing()
                    }
                }
                row.setFailpointBuild()
            }
        }
    }
}
