import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What a crash leaves in the log")
    struct CrashTraceTests {
        /// The program as `make install` installs it, with the helper beside it, in a folder of its own.
        ///
        /// `ASM_TEST_BINARY` names the release build; it is the debug build otherwise.
        private static func install(in folder: String) async throws -> String {
            let given = ProcessInfo.processInfo.environment["ASM_TEST_BINARY"]
            let program = folder + "/bin/asm"
            for name in ["bin", "libexec/swift/linux"] {
                try FileManager.default.createDirectory(
                    atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            }
            let source = try given ?? Program.asmPath()
            // As `make install` does: without debug information, with the names of the functions.
            let stripped = try await Program(
                "strip", path: "/usr/bin/strip", ["--strip-debug", "-o", program, source]
            ).ended(within: .seconds(60))
            try #require(stripped.exitStatus == 0, Comment(rawValue: stripped.errorText))
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/libexec/swift/linux/swift-backtrace", withDestinationPath: try helper())
            return program
        }

        /// The toolchain's, which is what `make install` copies.
        private static func helper() throws -> String {
            let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
            for folder in path.split(separator: ":") {
                let swift = URL(fileURLWithPath: folder + "/swift").resolvingSymlinksInPath()
                let usr = swift.deletingLastPathComponent().deletingLastPathComponent()
                let helper = usr.path + "/libexec/swift/linux/swift-backtrace-static"
                if FileManager.default.isExecutableFile(atPath: helper) { return helper }
            }
            throw Program.Failure(description: "There is no swift-backtrace-static beside the swift in PATH.")
        }

        /// Starts it, and sends one of its event loops the signal of a trap.
        private static func crash(
            _ program: String, in folder: String, environment: [String]
        ) async throws -> Program {
            // The tests' programs are told to leave no traces: `env -u` takes that back.
            let service = try await Program(
                "asm service", path: "/usr/bin/env",
                environment + [
                    program, "service", "--database", "sqlite:\(folder)/asm.sqlite", "--listen",
                    "127.0.0.1:0",
                ])
            _ = try await service.port()
            let tasks = "/proc/\(service.processID)/task"
            let threads = try FileManager.default.contentsOfDirectory(atPath: tasks).filter {
                try String(contentsOfFile: "\(tasks)/\($0)/comm", encoding: .utf8).hasPrefix("NIO-")
            }
            let thread = try #require(threads.compactMap { Int32($0) }.first)
            // Glibc's function for that is not among those that Swift sees.
            let sent = try await Program(
                "tgkill", path: "/usr/bin/python3",
                [
                    "-c", "import ctypes, sys; sys.exit(ctypes.CDLL(None).tgkill(*map(int, sys.argv[1:])))",
                    "\(service.processID)", "\(thread)", "\(SIGTRAP)",
                ]
            ).ended()
            try #require(sent.exitStatus == 0, Comment(rawValue: sent.errorText))
            return service
        }

        @Test(
            "is a trace with the names of functions, from the program as it is installed",
            .timeLimit(.minutes(4)))
        func trace() async throws {
            try await withTemporaryFolder { folder in
                let program = try await Self.install(in: folder)

                let service = try await Self.crash(
                    program, in: folder, environment: ["-u", "SWIFT_BACKTRACE"])
                let log = try await service.progress.until("a trace should be written", within: .seconds(100))
                {
                    $0.errorText.contains("Backtrace took") || $0.isOver ? $0.errorText : nil
                }

                #expect(log.contains("*** Program crashed"), Comment(rawValue: log))
                #expect(log.contains("SelectableEventLoop.run()"), Comment(rawValue: log))
                #expect(log.contains(" in asm"), Comment(rawValue: log))
                // A signal from outside is no fault of an instruction, which would come again: the second one ends it.
                service.signal(SIGTRAP)
                #expect(try await service.ended().exitStatus != 0)
            }
        }

        @Test("is nothing where the environment says so", .timeLimit(.minutes(4)))
        func noTrace() async throws {
            try await withTemporaryFolder { folder in
                let program = try await Self.install(in: folder)

                let ended = try await Self.crash(
                    program, in: folder, environment: ["SWIFT_BACKTRACE=enable=no"]
                ).ended()

                #expect(!ended.errorText.contains("*** Program crashed"))
                #expect(ended.exitStatus != 0)
            }
        }
    }
}
