import Foundation

@testable import SystemSupport

/// The `asm` that is tested.
struct Build: Sendable {
    /// The one named by `ASM_FAILOVER_BINARY`, or the one that was built with these tests.
    static let asm = Build(binary: ProcessInfo.processInfo.environment["ASM_FAILOVER_BINARY"])

    let binary: String?

    func path() throws -> String { try binary ?? Program.asmPath() }

    /// A release build is what figures are promised for.
    var isRelease: Bool { binary?.contains("release") ?? false }
    var kind: String { isRelease ? "release" : "debug" }

    /// How many messages a second a row sends, unless it says otherwise.
    var rate: Int { isRelease ? 200 : 100 }
    /// Under how many messages a second the promise of F01 is given.
    var highRate: Int { isRelease ? 1_000 : 300 }
    /// How much longer than promised things may take.
    var slack: Double { isRelease ? 1 : 2 }
}
