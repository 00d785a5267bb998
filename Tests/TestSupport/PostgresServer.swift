import Foundation
import Glibc
import Synchronization

/// A PostgreSQL of Debian's package with default settings, in a folder of its own, on a free loopback port.
///
/// A watching shell owns it: when the test process ends, in whatever way, the server and its folder go too.
package final class PostgresServer: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let maximumConnections = 600
    private static let startSeconds = 60
    private static let shareds = Mutex<Result<PostgresServer, any Error>?>(nil)

    /// Held while a child is started, so that it does not inherit the pipes of another.
    private static let spawning = Mutex(())

    /// Memory where there is room, else the folder for temporary files.
    ///
    /// What a killed server has written stays in both. On disk hundreds of databases take longer to make: an ext4
    /// without a journal searches past all inodes that were freed in the last seconds.
    private static let usualPlace: String = {
        var memory = statvfs()
        let isThere = statvfs("/dev/shm", &memory) == 0
        let free = isThere ? UInt64(memory.f_bavail) * UInt64(memory.f_frsize) : 0
        return free >= roomInMemory ? "/dev/shm" : NSTemporaryDirectory()
    }()
    /// For the databases of all tests, some 8 MB each, and what is logged of making them.
    private static let roomInMemory: UInt64 = 8 << 30

    package let port: Int
    private let folder: String
    private let binaries: String
    private let settings: [String]
    private let watcher: Mutex<Watcher?>
    private let databases = Mutex(0)

    private struct Watcher: Sendable {
        let process: Process
        let lifeline: FileHandle
    }

    /// The server all tests of this process share; each uses a database of its own.
    package static func shared() throws -> PostgresServer {
        try shareds.withLock { shared in
            let result = shared ?? Result { try PostgresServer() }
            shared = result
            return try result.get()
        }
    }

    /// Creates and starts a server of one's own.
    ///
    /// - Parameters:
    ///   - settings: further ones, such as `max_connections=20`.
    ///   - place: the folder in which its own is made; `usualPlace` by default.
    ///   - primary: the server whose standby it becomes, under the name `standby`.
    package init(settings: [String] = [], in place: String? = nil, standbyOf primary: PostgresServer? = nil)
        throws
    {
        binaries = try Self.findBinaries()
        port = try LoopbackPort.free()
        folder = (place ?? Self.usualPlace) + "/asm-postgres-\(UUID().uuidString.prefix(8))"
        self.settings = settings
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        watcher = Mutex(nil)
        if geteuid() == 0 { try Self.run("/usr/bin/chown", ["postgres", folder]) }
        if let primary {
            let source = "host=127.0.0.1 port=\(primary.port) user=postgres application_name=standby"
            try asOwner(
                "pg_basebackup",
                ["-D", folder + "/data", "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync"])
        } else {
            try asOwner(
                "initdb",
                [
                    "-D", folder + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                    "--locale=C.UTF-8", "--no-sync",
                ])
        }
        try start()
    }

    deinit { stop() }

    /// Starts the server after `stop` or `kill`, on the same port and data.
    package func start() throws {
        let options =
            [
                "port=\(port)", "listen_addresses=127.0.0.1", "max_connections=\(Self.maximumConnections)",
                "unix_socket_directories=\(folder)",
            ] + settings
        let script = """
            cd /
            trap '' INT TERM HUP
            control() { \(Self.ownerPrefix.joined(separator: " ")) '\(binaries)/pg_ctl' -D '\(folder)/data' "$@" \
            </dev/null >/dev/null 2>&1; }
            if control -w -t \(Self.startSeconds) -l '\(folder)/log' \
            -o "\(options.map { "-c \($0)" }.joined(separator: " "))" start
            then echo ready; else echo failed; fi
            cat >/dev/null
            control -m immediate stop
            [ -e '\(folder)/keep' ] || rm -rf '\(folder)'
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        let (input, output) = try Self.spawning.withLock { _ in
            let (input, output) = (Self.privatePipe(), Self.privatePipe())
            process.standardInput = input
            process.standardOutput = output
            try process.run()
            return (input, output)
        }
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard line.hasPrefix("ready") else {
            let log = (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "no log"
            try? input.fileHandleForWriting.close()
            throw Failure(description: "PostgreSQL did not start: \(log)")
        }
        watcher.withLock { $0 = Watcher(process: process, lifeline: input.fileHandleForWriting) }
    }

    /// Stops the server at once, as a power cut would, and keeps its data for another `start`.
    package func kill() throws {
        let text = try String(contentsOfFile: folder + "/data/postmaster.pid", encoding: .utf8)
        guard let pid = text.split(separator: "\n").first.flatMap({ Int32($0) }) else {
            throw Failure(description: "postmaster.pid holds no pid")
        }
        // Its children too: one that is busy does not notice that the first process is gone, and works on.
        _ = Glibc.kill(pid, SIGSTOP)
        for process in Self.children(of: pid) + [pid] { _ = Glibc.kill(process, SIGKILL) }
        try end(keepingData: true)
    }

    /// Stops the server and removes its data.
    package func stop() {
        // A watcher that is already gone has nothing left to stop.
        try? end(keepingData: false)
    }

    /// The URL of a new, empty database.
    ///
    /// Waits on a thread of its own: the few that all tests share would stand still.
    package func createDatabase() async throws -> String {
        let number = databases.withLock { count in
            count += 1
            return count
        }
        let name = "test\(number)"
        try await withCheckedThrowingContinuation { (made: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { [self] in
                made.resume(
                    with: Result {
                        _ = try asOwner(
                            "createdb", ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", name])
                    })
            }
        }
        return url(database: name)
    }

    package func url(database: String) -> String { "postgresql://postgres@127.0.0.1:\(port)/\(database)" }

    /// Runs statements with psql, each committed by itself.
    /// - Returns: what they answer, a line for each row, columns separated by `|`.
    @discardableResult
    package func execute(_ sql: String, database: String = "postgres") throws -> String {
        try asOwner(
            "psql",
            [
                "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", "\(port)", "-U",
                "postgres", "-d", database, "-c", sql,
            ])
    }

    /// Changes a setting, and returns when it holds for all that the server does.
    package func set(_ name: String, to value: String) throws {
        try execute("ALTER SYSTEM SET \(name) = '\(value)'")
        try execute("SELECT pg_reload_conf()")
        let patience = ContinuousClock.now + .seconds(Self.startSeconds)
        // A new session has the settings of the first process, which then has told all others to read them.
        while try execute("SHOW \(name)") != value + "\n" {
            guard ContinuousClock.now < patience else {
                throw Failure(description: "\(name) is not \(value)")
            }
            usleep(10_000)
        }
        // Whether commits wait for a standby is in the checkpointer's hands: it reads its settings before it works.
        try execute("CHECKPOINT")
    }

    private func end(keepingData: Bool) throws {
        let ended = watcher.withLock { watcher in
            defer { watcher = nil }
            return watcher
        }
        guard let ended else { return }
        let mark = folder + "/keep"
        if keepingData { _ = FileManager.default.createFile(atPath: mark, contents: nil) }
        try ended.lifeline.close()
        ended.process.waitUntilExit()
        if keepingData { try FileManager.default.removeItem(atPath: mark) }
    }

    @discardableResult
    private func asOwner(_ program: String, _ arguments: [String]) throws -> String {
        let command = Self.ownerPrefix + [binaries + "/" + program] + arguments
        return try Self.run("/usr/bin/env", command)
    }

    /// PostgreSQL refuses to run as root.
    private static var ownerPrefix: [String] {
        geteuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] : []
    }

    /// A pipe that no other child inherits: one that did would keep it from ever ending.
    private static func privatePipe() -> Pipe {
        let pipe = Pipe()
        for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
            _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
        }
        return pipe
    }

    @discardableResult
    private static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.standardInput = FileHandle.nullDevice
        let output = try spawning.withLock { _ in
            let output = privatePipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            return output
        }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(arguments.joined(separator: " ")) failed: \(text)")
        }
        return text
    }

    private static func children(of parent: Int32) -> [Int32] {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.compactMap { Int32($0) }.filter { process in
            // A process that has ended meanwhile is nobody's child.
            let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            return status.contains("\nPPid:\t\(parent)\n")
        }
    }

    private static func findBinaries() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let newest = versions.compactMap(Int.init).max()
        guard let newest, FileManager.default.isExecutableFile(atPath: "\(root)/\(newest)/bin/initdb") else {
            throw Failure(
                description:
                    "PostgreSQL is not installed under \(root): `make test` installs it (Debian: postgresql)")
        }
        return "\(root)/\(newest)/bin"
    }
}
