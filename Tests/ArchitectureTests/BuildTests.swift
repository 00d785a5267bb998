import Foundation
import Testing

@Suite("What builds, installs and tests the program")
struct BuildTests {
    private struct Ended {
        let status: Int32
        let text: String
    }

    /// Runs a command in the tree's root to its end, apart from a `make` that these tests may run in.
    private static func run(_ command: [String], path: String = "", isCI: Bool = false) throws -> Ended {
        var environment = ProcessInfo.processInfo.environment
        for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CI"] { environment[name] = nil }
        if isCI { environment["CI"] = "true" }
        environment["PATH"] = path + (environment["PATH"] ?? "/usr/bin:/bin")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["timeout", "60"] + command
        process.currentDirectoryURL = SourceTree.rootFolder
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Ended(status: process.terminationStatus, text: String(decoding: said, as: UTF8.self))
    }

    /// A folder with commands that stand before those of the system.
    private static func withCommands(_ commands: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("asm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // What is left lies in the temporary folder.
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in commands {
            let path = folder.appendingPathComponent(name).path
            try "#!/bin/sh\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        try body(folder.path + ":")
    }

    @Test("the packages for servers in docs/high-availability.md hold every library that the program names")
    func librariesAreTold() throws {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = (tests as NSString).deletingLastPathComponent + "/asm"
        let document = "docs/high-availability.md"

        let ended = try Self.run(["Tests/needed-packages", program, document])
        #expect(ended.status == 0, "\(ended.text)")

        let text = try String(contentsOfFile: SourceTree.rootFolder.path + "/" + document, encoding: .utf8)
        let shorter = NSTemporaryDirectory() + "asm-\(UUID().uuidString).md"
        try text.replacingOccurrences(of: " libxml2", with: "").write(
            toFile: shorter, atomically: true, encoding: .utf8)
        let refused = try Self.run(["Tests/needed-packages", program, shorter])
        try FileManager.default.removeItem(atPath: shorter)
        #expect(refused.status == 1)
        #expect(refused.text.contains("needs libxml2.so.2 of the package libxml2"), "\(refused.text)")
    }

    @Test("continuous integration fails where the rows that need namespaces cannot be run; a person is told")
    func rowsAreNotLeftOut() throws {
        try Self.withCommands(["unshare": "exit 1"]) { path in
            let alone = try Self.run(["make", "failover-short"], path: path)
            let integration = try Self.run(["make", "failover-short"], path: path, isCI: true)

            #expect(alone.status == 0 && alone.text.contains("not run"), "\(alone.text)")
            #expect(integration.status != 0 && integration.text.contains("not run"), "\(integration.text)")
        }
        try Self.withCommands(["make": #"echo "made with CI=$CI""#]) { path in
            let ended = try Self.run([".ci/run"], path: path)
            #expect(ended.status == 0 && ended.text.contains("made with CI=true"), "\(ended.text)")
        }
    }
}
