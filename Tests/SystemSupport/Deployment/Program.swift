import Dispatch
import Foundation
import Glibc
import Synchronization

/// A process that a test has started: its output is kept, and it dies with the test process.
final class Program: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// What a process has said, and how it ended.
    struct Progress: Sendable {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var openStreams = 2
        var exitStatus: Int32?

        var outputText: String { String(decoding: output, as: UTF8.self) }
        var errorText: String { String(decoding: errors, as: UTF8.self) }
        var isOver: Bool { exitStatus != nil && openStreams == 0 }
    }

    let name: String
    let progress = Watched(Progress())
    private let process: Process

    /// Starts a program by its path.
    /// - Parameters:
    ///   - host: the network namespace in which it runs; this process's own by default.
    ///   - user: as whom it runs; as this process by default.
    ///   - input: what its standard input gives; nothing by default.
    init(
        _ name: String, path: String, _ arguments: [String], on host: String? = nil, as user: String? = nil,
        environment: [String: String] = [:], input: [UInt8] = []
    ) async throws {
        self.name = name
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
        let place = host.map { ["/usr/sbin/ip", "netns", "exec", $0] } ?? []
        let identity = user.map {
            ["/usr/bin/setpriv", "--reuid", $0, "--regid", $0, "--init-groups", "--pdeathsig", "KILL", "--"]
        }
        process.arguments = ["--pdeathsig", "KILL", "--"] + place + (identity ?? []) + [path] + arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = errors
        let source = input.isEmpty ? nil : Pipe()
        process.standardInput = source ?? FileHandle.nullDevice
        self.process = process
        process.terminationHandler = { [progress] ended in
            progress.update { $0.exitStatus = ended.terminationStatus }
        }
        follow(output) { $0.output += $1 }
        follow(errors) { $0.errors += $1 }
        try await Launcher.shared.run(process)
        if let source {
            DispatchQueue.global().async {
                // A program that ends before it has read everything is told by its exit status.
                try? source.fileHandleForWriting.write(contentsOf: Data(input))
                try? source.fileHandleForWriting.close()
            }
        }
    }

    deinit { signal(SIGKILL) }

    /// As which version the program runs.
    enum Version: Sendable {
        /// The one that is tested.
        case current
        /// The one after it, which speaks the next version of the link and brings the next schema.
        case next

        var environment: [String: String] { self == .next ? ["ASM_NEXT_VERSION": "1"] : [:] }
    }

    /// Runs `asm` to its end.
    static func run(
        _ arguments: [String], as version: Version = .current, environment: [String: String] = [:],
        input: [UInt8] = [], within limit: Duration = .seconds(60)
    ) async throws -> Progress {
        let program = try await asm(arguments, as: version, environment: environment, input: input)
        return try await program.ended(within: limit)
    }

    /// Starts the `asm` that is tested.
    static func asm(
        _ arguments: [String], as version: Version = .current, environment: [String: String] = [:],
        input: [UInt8] = []
    ) async throws -> Program {
        let name = "asm " + arguments.prefix { !$0.hasPrefix("-") }.joined(separator: " ")
        return try await Program(
            name, path: asmPath(), arguments, environment: version.environment.merging(environment) { $1 },
            input: input)
    }

    /// Where the `asm` is: the one that `ASM_TEST_BINARY` names, or the one that was built with these tests.
    static func asmPath() throws -> String {
        if let named = ProcessInfo.processInfo.environment["ASM_TEST_BINARY"], !named.isEmpty { return named }
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().path + "/asm"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(description: "There is no \(path): build it with `make build-tests`.")
        }
        return path
    }

    var processID: Int32 { process.processIdentifier }

    func signal(_ number: Int32) {
        if process.isRunning { _ = Glibc.kill(process.processIdentifier, number) }
    }

    /// Waits until the process has ended and everything it said is here.
    @discardableResult
    func ended(within limit: Duration = .seconds(30)) async throws -> Progress {
        do {
            return try await progress.until("\(name) should end", within: limit) { $0.isOver ? $0 : nil }
        } catch {
            signal(SIGKILL)
            throw Failure(description: "\(error); it said:\n\(tail)")
        }
    }

    /// Kills the process and waits until it is gone.
    func kill() async throws {
        signal(SIGKILL)
        try await progress.until("\(name) should be gone") { $0.exitStatus }
    }

    /// The port of the line that says "serves on HOST:PORT" or "serves at URL".
    func port() async throws -> Int {
        let progress = try await progress.until("\(name) should serve or end", within: .seconds(60)) {
            progress in
            progress.isOver || Self.port(in: progress.outputText) != nil ? progress : nil
        }
        guard let port = Self.port(in: progress.outputText) else {
            throw Failure(description: "\(name) did not start:\n\(tail)")
        }
        return port
    }

    /// The memory that the process holds, in bytes.
    func residentBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        guard let kibibytes = line?.split(separator: " ").dropFirst().compactMap({ Int($0) }).first else {
            throw Failure(description: "\(name) has no VmRSS")
        }
        return kibibytes * 1_024
    }

    /// The last lines of what it said, for a test's report.
    var tail: String {
        let now = progress.value
        let lines = (now.outputText + now.errorText).split(separator: "\n").suffix(15)
        return "--- \(name), \(now.exitStatus.map { "exit \($0)" } ?? "running")\n"
            + lines.joined(separator: "\n")
    }

    private static func port(in text: String) -> Int? {
        for line in text.split(separator: "\n") where line.contains("serves ") && line.contains(":") {
            let digits = line[line.index(after: line.lastIndex(of: ":") ?? line.startIndex)...]
            if let port = Int(digits.prefix { $0.isNumber }) { return port }
        }
        return nil
    }

    private func follow(_ pipe: Pipe, _ take: @escaping @Sendable (inout Progress, Data) -> Void) {
        let handle = pipe.fileHandleForReading
        // A thread of its own, because reading blocks.
        Thread.detachNewThread { [progress] in
            while true {
                let data = handle.availableData
                progress.update { progress in
                    if data.isEmpty { progress.openStreams -= 1 } else { take(&progress, data) }
                }
                if data.isEmpty { break }
            }
            // Foundation keeps the pipes of processes that have ended.
            do { try handle.close() } catch { preconditionFailure("\(error)") }
        }
    }
}

/// Starts processes from one thread that never ends.
///
/// Linux sends a child's death signal when the *thread* that made it ends.
private final class Launcher: Sendable {
    static let shared = Launcher()
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let waiting = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                waiting.wait()
                jobs.withLock { $0.removeFirst() }()
            }
        }
    }

    func run(_ process: Process) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            jobs.withLock { $0.append { continuation.resume(with: Result { try process.run() }) } }
            waiting.signal()
        }
    }
}
