import Foundation
import Glibc
import NIOCore
import Synchronization

@testable import SystemSupport

/// Two PostgreSQL servers under Patroni with etcd, configured by the files in `deploy/`.
final class DatabaseCluster: Sendable {
    static let name = "asm"
    /// A database for a row that needs one with nothing in it.
    static let secondName = "second"
    private static let password = "CHANGE-ME-ASM"
    private static let patroniPort = 8_008
    private static let binaries = "/usr/lib/postgresql/15/bin"
    /// How long until both servers are there and one follows the other: after a start, or a failover.
    private static let settleTime = Duration.seconds(90)

    /// libpq's URL with both hosts: whoever is primary is found.
    static let url = url(name)

    /// The same for another database, or for both hosts reached otherwise.
    static func url(_ name: String, at addresses: [String] = Host.databases.map { $0.address + ":5432" })
        -> String
    {
        "postgresql://asm:\(password)@\(addresses.joined(separator: ","))/\(name)"
    }

    private let folder: String
    private let programs = Mutex<[Host: Program]>([:])

    init(folder: String) { self.folder = folder }

    /// What both servers are made of; the folders belong to postgres.
    func prepare() throws {
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let template = try String(
            contentsOfFile: Repository.path("deploy/patroni/patroni.yml"), encoding: .utf8)
        for host in Host.databases {
            let place = folder + "/" + host.name
            let owner: [FileAttributeKey: Any] = [.ownerAccountName: "postgres", .posixPermissions: 0o700]
            try files.createDirectory(atPath: place, withIntermediateDirectories: false, attributes: owner)
            let text = Self.configuration(template, of: host, in: place)
            try text.write(toFile: place + "/patroni.yml", atomically: true, encoding: .utf8)
            // Postgres itself may be started under another clock.
            try files.createDirectory(atPath: place + "/bin", withIntermediateDirectories: false)
            for name in try files.contentsOfDirectory(atPath: Self.binaries) {
                try files.createSymbolicLink(
                    atPath: place + "/bin/" + name, withDestinationPath: Self.binaries + "/" + name)
            }
            try files.setAttributes(owner, ofItemAtPath: place)
            try files.setAttributes([.ownerAccountName: "postgres"], ofItemAtPath: place + "/patroni.yml")
        }
    }

    /// The operator's file with this host's addresses, and without TLS, which has tests of its own.
    private static func configuration(_ template: String, of host: Host, in place: String) -> String {
        let secured = [
            "ssl_", "cert: ", "certfile: ", "key: ", "keyfile: ", "cafile: ", "verify_client: ", "protocol: ",
        ]
        let lines = template.split(separator: "\n", omittingEmptySubsequences: false).compactMap {
            line -> String? in
            if secured.contains(where: line.contains) { return nil }
            if line.hasPrefix("  hosts:") { return "  hosts: \(Host.etcd.address):2379" }
            if line.hasPrefix("name:") { return "name: \(host.name)" }
            return String(line)
        }
        let changes = [
            ("db1.example.internal", host.address), ("10.0.0.21", host.address),
            ("hostssl asm asm", "host \(name),\(secondName) asm"), ("hostssl", "host"),
            ("10.0.0.0/24", "10.77.0.0/24"),
            ("    ssl: \"on\"", "    ssl: \"off\""), ("/var/lib/postgresql/15/asm", place + "/data"),
            ("/var/lib/postgresql/.pgpass-patroni", place + "/pgpass"), ("/var/run/postgresql", place),
            ("mode: automatic", "mode: off"), (binaries, place + "/bin"),
        ]
        return changes.reduce(lines.joined(separator: "\n")) {
            $0.replacingOccurrences(of: $1.0, with: $1.1)
        }
    }

    // MARK: Processes

    /// Starts whatever does not run.
    func start() async throws {
        for host in [Host.etcd] + Host.databases where !isRunning(host) {
            let program = host == .etcd ? try await startEtcd() : try await startPatroni(host)
            programs.withLock { $0[host] = program }
        }
    }

    private func isRunning(_ host: Host) -> Bool {
        programs.withLock { $0[host] }?.progress.value.exitStatus == nil
            && programs.withLock { $0[host] } != nil
    }

    private func startEtcd() async throws -> Program {
        let client = "http://\(Host.etcd.address):2379"
        return try await Program(
            "etcd", path: "/usr/bin/etcd",
            [
                "--name", "etcd", "--data-dir", folder + "/etcd", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", "http://127.0.0.1:2380",
                "--initial-advertise-peer-urls", "http://127.0.0.1:2380", "--initial-cluster",
                "etcd=http://127.0.0.1:2380",
            ], on: Host.etcd.name)
    }

    private func startPatroni(_ host: Host) async throws -> Program {
        try await Program(
            "patroni on \(host.name)", path: "/usr/bin/patroni", [folder + "/\(host.name)/patroni.yml"],
            on: host.name, as: "postgres", environment: ["HOME": folder + "/" + host.name])
    }

    /// Everything of a database host ends at once, without a word to anybody.
    func lose(_ host: Host) async throws {
        try await Network.plug(host, in: false)
        try await signal(SIGKILL, host)
    }

    func signal(_ number: Int32, _ host: Host) async throws {
        // Twice: Patroni may have started something in between.
        for _ in 0..<2 {
            for process in try await Network.processes(of: host) { _ = Glibc.kill(process, number) }
        }
    }

    /// Kills everything of a database host, and waits until it is gone.
    func kill(_ host: Host) async throws {
        try await signal(SIGKILL, host)
        try await programs.withLock { $0[host] }?.progress.until("\(host.name) should be dead") {
            $0.exitStatus
        }
    }

    /// Kills the PostgreSQL of a host as the system would, and leaves Patroni alone.
    func killPostmaster(_ host: Host) async throws {
        let file = try String(contentsOfFile: folder + "/\(host.name)/data/postmaster.pid", encoding: .utf8)
        guard let process = file.split(separator: "\n").first.flatMap({ Int32($0) }) else { return }
        _ = Glibc.kill(process, SIGKILL)
    }

    /// Lets a host's PostgreSQL, when it is started again, live by another clock.
    func setClock(_ host: Host, _ offset: String?) throws {
        let path = folder + "/\(host.name)/bin/postgres"
        try FileManager.default.removeItem(atPath: path)
        guard let offset else {
            return try FileManager.default.createSymbolicLink(
                atPath: path, withDestinationPath: Self.binaries + "/postgres")
        }
        let text = """
            #!/bin/sh
            LD_PRELOAD=\(FakeClock.library) FAKETIME='\(offset)' DONT_FAKE_MONOTONIC=1 \
            exec \(Self.binaries)/postgres "$@"

            """
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    // MARK: State

    struct Member: Sendable {
        let host: Host
        let role: String
        let state: String
    }

    /// What Patroni says of its members; empty while nobody answers.
    func members() async -> [Member] {
        for host in Host.databases {
            // A server that does not answer is what is asked about, too.
            guard
                let answer = try? await Web(host: host.address, port: Self.patroniPort).call(
                    "GET", "/cluster", within: .seconds(2))
            else { continue }
            return answer.body["members"].list.compactMap { member in
                guard let name = member["name"].text, let host = Host(rawValue: name) else { return nil }
                return Member(host: host, role: member["role"].text ?? "", state: member["state"].text ?? "")
            }
        }
        return []
    }

    /// The primary, as soon as there is one.
    func primary() async throws -> Host {
        try await until("there should be a primary") { members in
            members.first { $0.role == "leader" && $0.state == "running" }?.host
        }
    }

    /// Waits until one server follows the other, synchronously where that is asked for.
    func untilReplicating(synchronously: Bool = true) async throws {
        try await until("one database should follow the other") { members -> Bool? in
            let follows = members.contains {
                $0.role == (synchronously ? "sync_standby" : "replica")
                    && ["running", "streaming"].contains($0.state)
            }
            let leads = members.contains { $0.role == "leader" && $0.state == "running" }
            return follows && leads ? true : nil
        }
    }

    @discardableResult
    private func until<Value>(_ what: String, _ pick: ([Member]) -> Value?) async throws -> Value {
        var end = ContinuousClock.now + Self.settleTime
        var last: [Member] = []
        var copied = 0
        while ContinuousClock.now < end {
            last = await members()
            if let value = pick(last) { return value }
            // A standby that is still being copied comes, however long a busy machine takes.
            let size = dataBytes()
            if last.contains(where: { $0.state == "creating replica" }), size != copied {
                end = .now + Self.settleTime
            }
            copied = size
            try await Task.sleep(for: .milliseconds(250))
        }
        let tails = programs.withLock { Array($0.values) }.map(\.tail).joined(separator: "\n")
        throw NotInTime(what: "\(what) (\(last))\n\(tails)", limit: Self.settleTime)
    }

    /// How large the files of all databases are.
    private func dataBytes() -> Int {
        Host.databases.reduce(0) { sum, host in
            let data = URL(fileURLWithPath: folder + "/\(host.name)/data")
            let files = FileManager.default.enumerator(at: data, includingPropertiesForKeys: [.fileSizeKey])
            return sum
                + (files?.compactMap { file in
                    // A file that is gone meanwhile has no size.
                    try? (file as? URL)?.resourceValues(forKeys: [.fileSizeKey]).fileSize
                }.reduce(0, +) ?? 0)
        }
    }

    /// Changes a setting of the whole cluster at run time.
    func configure(_ change: JSON) async throws {
        let host = try await primary()
        try await Web(host: host.address, port: Self.patroniPort).ask("PATCH", "/config", change)
    }

    /// Runs SQL as the superuser on a host and answers what it prints; each command by itself.
    @discardableResult
    func sql(_ commands: String..., on host: Host, database: String = "postgres") async throws -> String {
        try await psql(commands, on: host, database: database).ended(within: .seconds(60)).outputText
    }

    /// Runs one of PostgreSQL's tools as the superuser.
    func run(_ tool: String, _ arguments: [String]) async throws {
        let program = try await Program(
            tool, path: Self.binaries + "/" + tool, arguments, as: "postgres")
        let ended = try await program.ended(within: .seconds(60))
        guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
    }

    /// Starts to run SQL as the superuser on a host.
    func psql(_ commands: [String], on host: Host, database: String = name) async throws -> Program {
        try await Program(
            "psql on \(host.name)", path: "/usr/bin/psql",
            ["-qAt", "-v", "ON_ERROR_STOP=1", "-h", folder + "/" + host.name, "-d", database]
                + commands.flatMap { ["-c", $0] },
            as: "postgres")
    }
}
