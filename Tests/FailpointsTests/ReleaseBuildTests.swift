import Foundation
import Testing

@Suite("Failpoints in a release build")
struct ReleaseBuildTests {
    private static let sources = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/Failpoints").path

    private static let probe = """
        struct Told: Error {}
        package func probe() throws { try Failpoint.reach(.afterCommit, throwing: Told()) }
        """

    @Test("reaching one is no instruction at all, and nothing there looks at the environment")
    func nothingIsLeft() throws {
        let release = try assembly([])
        let debug = try assembly(["-DFAILPOINTS"])

        #expect(instructions(ofProbeIn: release) == ["retq"])
        #expect(instructions(ofProbeIn: debug).count > 1)
        for word in ["ASM_FAILPOINT", "ASM_MUTANT", "after_commit", "no-dedupe", "getenv"] {
            #expect(!release.contains(word), "\(word) is in a release build")
            #expect(
                debug.contains(word), "\(word) is not in a debug build: this test looks for the wrong thing")
        }
    }

    /// What the optimising compiler makes of the target and a caller.
    private func assembly(_ flags: [String]) throws -> String {
        let folder = NSTemporaryDirectory() + "asm-release-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Self.probe.write(toFile: folder + "/Probe.swift", atomically: true, encoding: .utf8)
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.sources).sorted()
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments =
            [
                "swiftc", "-O", "-wmo", "-swift-version", "6", "-parse-as-library", "-package-name", "asm",
                "-module-name", "Failpoints", "-emit-assembly", "-o", folder + "/out.s",
            ] + flags + files.map { Self.sources + "/" + $0 } + [folder + "/Probe.swift"]
        try compiler.run()
        compiler.waitUntilExit()
        #expect(compiler.terminationStatus == 0)
        return try String(contentsOfFile: folder + "/out.s", encoding: .utf8)
    }

    private func instructions(ofProbeIn assembly: String) -> [String] {
        let lines = assembly.split(separator: "\n")
        let body = lines.drop { !($0.hasPrefix("$s") && $0.contains("5probe") && $0.contains(":")) }
            .dropFirst()
        return body.prefix { !$0.hasPrefix(".Lfunc_end") }
            .filter { $0.hasPrefix("\t") && !$0.hasPrefix("\t.") }
            .map { String($0.dropFirst().prefix { !$0.isWhitespace }) }
    }
}
