import Dispatch
import Foundation

/// The `openssl` of the system: the peer that does what no process of ours would.
package enum OpenSSL {
    package struct Ended: Sendable {
        package let status: Int32
        /// Both of its streams.
        package let text: String
    }

    /// Runs it to its end; its standard input is empty unless given.
    package static func run(
        _ arguments: [String], input: String = "", clock: String? = nil
    ) async throws -> Ended {
        try await run(
            clock == nil ? "/usr/bin/openssl" : "/usr/bin/faketime",
            clock.map { [$0, "openssl"] + arguments } ?? arguments, input: input)
    }

    /// Connects with `s_client` and stays until the server ends it.
    package static func connect(
        to port: Int, _ arguments: [String], input: String = ""
    ) async throws -> Ended {
        try await run(
            ["s_client", "-connect", "127.0.0.1:\(port)", "-ign_eof"] + arguments, input: input)
    }

    package static func run(_ path: String, _ arguments: [String], input: String) async throws -> Ended {
        try await withCheckedThrowingContinuation { waiting in
            // Waits for another process, which no thread of the tests' own pool should do.
            DispatchQueue.global().async {
                waiting.resume(with: Result { try runBlocking(path, arguments, input: input) })
            }
        }
    }

    /// No handshake of a test takes longer; `timeout` ends it then.
    private static let seconds = 20

    private static func runBlocking(_ path: String, _ arguments: [String], input: String) throws -> Ended {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
        process.arguments = ["\(seconds)", path] + arguments
        let (source, output) = (Pipe(), Pipe())
        process.standardInput = source
        process.standardOutput = output
        process.standardError = output
        try process.run()
        // A process that ends before it has read everything tells so by its status.
        try? source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? source.fileHandleForWriting.close()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Ended(status: process.terminationStatus, text: String(decoding: bytes, as: UTF8.self))
    }

    /// `s_server`: takes connections until it is ended, until the test process ends in whatever way, or for a minute.
    package final class Server: Sendable {
        /// The shell owns it: a line, or the end of the shell's input, ends both.
        private static let script = """
            openssl s_server -quiet -www "$@" </dev/null & read -r -t 60; kill -KILL $!; wait
            """

        package let port: Int
        private let shell: Process
        private let input = Pipe()

        package init(certificate: String, key: String, _ arguments: [String] = []) throws {
            port = try LoopbackPort.free()
            shell = Process()
            shell.executableURL = URL(fileURLWithPath: "/bin/bash")
            shell.arguments =
                ["-c", Self.script, "openssl", "-accept", "127.0.0.1:\(port)", "-cert", certificate]
                + ["-key", key] + arguments
            shell.standardInput = input
            shell.standardOutput = FileHandle.nullDevice
            shell.standardError = FileHandle.nullDevice
            try shell.run()
        }

        /// Ends it, and returns when it has ended.
        package func end() {
            // A shell that is gone already reads no line.
            try? input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
            shell.waitUntilExit()
        }
    }
}
