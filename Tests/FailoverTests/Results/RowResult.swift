import Foundation
import Synchronization

/// What a row found: one file of JSON, from which `docs/failover.md` is written.
struct RowResult: Codable, Sendable {
    var row: String
    var injected: String
    var expected: String
    var build = Build.asm.kind
    var at = Date.now.ISO8601Format()
    var seconds = 0
    var rate: Int?
    var sent = 0
    var acknowledged = 0
    var unknown = 0
    var refused = 0
    var lost = 0
    var doubled = 0
    var reordered = 0
    var otherBreaks = 0
    var reconnects = 0
    /// Per person and injection.
    var gap: Times?
    /// How long nobody was acknowledged, per injection.
    var silence: Times?
    /// How long those who lost their connection were away.
    var away: Times?
    /// From an acknowledgement until the last of those connected had the message live.
    var visible: Times?
    /// What else was measured.
    var notes: [String] = []
    /// What was not as expected; the row has passed when there is nothing.
    var failures: [String] = []

    private static var folder: String {
        ProcessInfo.processInfo.environment["ASM_FAILOVER_RESULTS"] ?? Repository.path(".build/failover")
    }

    /// What a row found that has run.
    static func read(_ row: String) throws -> RowResult {
        try JSONDecoder().decode(
            RowResult.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(row).json")))
    }

    func write() throws {
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: URL(fileURLWithPath: "\(Self.folder)/\(row).json"))
    }
}
