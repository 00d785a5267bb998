import Foundation
import Glibc
import Synchronization

@testable import SystemSupport

/// A program of the deployment on its host, which can be killed, stopped and started again.
final class SiteServer: Sendable {
    let host: Host
    let port: Int
    private struct Manner: Hashable, Sendable {
        var path: String
        var arguments: [String]
        var environment: [String: String]
    }

    private let usual: Manner
    private let manner: Mutex<Manner>
    private let program = Mutex<Program?>(nil)

    init(
        _ host: Host, port: Int, path: String, _ arguments: [String], environment: [String: String] = [:]
    ) {
        self.host = host
        self.port = port
        usual = Manner(path: path, arguments: arguments, environment: environment)
        manner = Mutex(usual)
    }

    var address: String { "\(host.address):\(port)" }
    var web: Web { Web(host: host.address, port: port) }
    var current: Program? { program.withLock { $0 } }
    var isRunning: Bool { current.map { $0.progress.value.exitStatus == nil } ?? false }

    /// Starts it unless it runs.
    func start() async throws {
        guard !isRunning else { return }
        let manner = manner.withLock { $0 }
        let new = try await Program(
            "\(host.name)", path: manner.path, manner.arguments, on: host.name,
            environment: manner.environment)
        program.withLock { $0 = new }
    }

    /// Starts it and waits until it says that it serves.
    func startServing() async throws {
        try await start()
        _ = try await current?.port()
    }

    func kill() async throws { try await current?.kill() }
    func signal(_ number: Int32) { current?.signal(number) }

    /// Asks it to end, and waits until it has.
    func stop() async throws {
        signal(SIGTERM)
        try await untilDead()
    }

    /// Waits until it has ended; what others inherited of its output may stay open.
    func untilDead() async throws {
        try await current?.progress.until("\(host.name) should end", within: .seconds(30)) { $0.exitStatus }
    }

    /// How it lives from its next start on.
    /// - Parameters:
    ///   - extra: what is added to its environment.
    ///   - program: another program that is run.
    ///   - more: what is added to its arguments.
    ///   - database: through what it reaches the database.
    func live(
        with extra: [String: String] = [:], program: String? = nil, adding more: [String] = [],
        database: String? = nil
    ) {
        manner.withLock {
            $0.path = program ?? usual.path
            $0.arguments = usual.arguments.map { $0 == DatabaseCluster.url ? database ?? $0 : $0 } + more
            $0.environment = usual.environment.merging(extra) { $1 }
        }
    }

    /// Whether it is to be started with nothing out of the ordinary.
    var isUsual: Bool { manner.withLock { $0 } == usual }
}
