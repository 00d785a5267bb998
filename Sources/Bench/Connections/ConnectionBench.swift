package import ASMClient
import Domain
import NIOCore
import NIOPosix
import Synchronization
package import Synthetic

/// Holds many idle live connections and says what each costs the web servers.
package struct ConnectionBench: Sendable {
    /// How many connections are being made at once.
    static let concurrency = 64
    /// How many connections one local address carries to one server before ports run out.
    static let connectionsPerAddress = 20_000

    let accounts: SyntheticAccounts
    let connections: Int
    let users: Int
    let idle: Duration
    let pingInterval: Duration
    let threads: Int
    let progress: @Sendable (String) -> Void

    /// - Parameters:
    ///   - users: how many users share the connections.
    ///   - idle: how long to watch the idle servers.
    ///   - pingInterval: how often a client asks whether the server is there; zero: never.
    package init(
        accounts: SyntheticAccounts, connections: Int, users: Int, idle: Duration, pingInterval: Duration,
        threads: Int, progress: @escaping @Sendable (String) -> Void
    ) throws(MessagingError) {
        guard (1...200_000).contains(connections), users >= 1, (1...64).contains(threads) else {
            throw MessagingError(
                code: "bad-request",
                message: "There must be 1 to 200000 connections, users, and 1 to 64 threads.")
        }
        self.accounts = accounts
        self.connections = connections
        self.users = min(users, connections)
        self.idle = idle
        self.pingInterval = pingInterval
        self.threads = threads
        self.progress = progress
    }

    package func run() async throws -> BenchReport {
        raiseFileLimit()
        progress("Logging in \(users) users.")
        let sessions = try await accounts.logIn(count: users)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        do {
            let report = try await run(sessions, on: group)
            try await group.shutdownGracefully()
            return report
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private func run(_ sessions: [SyntheticAccount], on group: MultiThreadedEventLoopGroup) async throws
        -> BenchReport
    {
        let before = ServerProcesses.now()
        let clock = ContinuousClock()
        let start = clock.now
        let counter = LostCounter()
        progress("Connecting \(connections) clients.")
        let open = try await concurrently(0..<connections, limit: Self.concurrency) { index in
            try await connect(index, sessions[index % sessions.count], on: group.next(), counter)
        }
        let seconds = (clock.now - start) / .seconds(1)
        // What was needed only for connecting is let go before memory is read.
        try await Task.sleep(for: .seconds(2))
        let connected = ServerProcesses.now()
        progress("Watching \(connections) idle clients for \(idle).")
        try await Task.sleep(for: idle)
        let after = ServerProcesses.now()
        let lostCount = counter.count
        for connection in open { connection.close() }
        let bytes = Double(connected.webResidentBytes - before.webResidentBytes) / Double(connections)
        let idleSeconds = idle / .seconds(1)
        let cpu = after.cpuSeconds(since: connected).sorted { $0.key < $1.key }
        return BenchReport(
            lines: [
                .init("connections", "connections", .count(connections)),
                .init(
                    "connectsPerSecond", "connected per second",
                    .number(Double(connections) / seconds, digits: 1)),
                .init(
                    "webBytesBefore", "memory of the web before (bytes)", .count(Int(before.webResidentBytes))
                ),
                .init(
                    "webBytesAfter", "memory of the web after (bytes)",
                    .count(Int(connected.webResidentBytes))),
                .init("bytesPerConnection", "bytes per connection", .number(bytes, digits: 0)),
                .init(
                    "idleCPUPercent", "CPU while idle (% of a core)",
                    .group(
                        cpu.map { .init($0.key, $0.key, .number($0.value / idleSeconds * 100, digits: 2)) })),
                .init("lostConnections", "connections lost meanwhile", .count(lostCount)),
            ], faults: lostCount == 0 ? [] : ["\(lostCount) connections were lost"])
    }

    private func connect(
        _ index: Int, _ account: SyntheticAccount, on loop: any EventLoop, _ counter: LostCounter
    ) async throws -> LiveConnection {
        let addresses = accounts.web.addresses
        var local: SocketAddress?
        if connections > Self.connectionsPerAddress {
            local = try SocketAddress(ipAddress: "127.0.1.\(1 + index / Self.connectionsPerAddress)", port: 0)
        }
        let welcomed = loop.makePromise(of: Void.self)
        let pingInterval = pingInterval
        do {
            let connection = try await LiveConnection.connect(
                to: addresses[index % addresses.count], on: loop, security: accounts.security, from: local
            ) {
                IdleClient(account: account, pingInterval: pingInterval, welcomed: welcomed, counter: counter)
            }
            try await welcomed.futureResult.get()
            return connection
        } catch {
            welcomed.fail(error)
            throw error
        }
    }
}

/// How many connections went away although nobody closed them.
final class LostCounter: Sendable {
    private let lost = Mutex(0)
    var count: Int { lost.withLock { $0 } }
    func add() { lost.withLock { $0 += 1 } }
}

/// A client that only stays connected.
private final class IdleClient: LiveHandler {
    private let account: SyntheticAccount
    private let pingInterval: Duration
    private let welcomed: EventLoopPromise<Void>
    private let counter: LostCounter
    private var outlet: LiveOutlet?

    init(
        account: SyntheticAccount, pingInterval: Duration, welcomed: EventLoopPromise<Void>,
        counter: LostCounter
    ) {
        self.account = account
        self.pingInterval = pingInterval
        self.welcomed = welcomed
        self.counter = counter
    }

    func opened(_ outlet: LiveOutlet) {
        self.outlet = outlet
        outlet.send(.hello(token: account.token, cursor: nil))
    }

    func received(_ frame: ServerFrame) {
        switch frame {
        case .welcome:
            welcomed.succeed()
            if pingInterval > .zero { ping(in: pingInterval * Double.random(in: 0.5...1)) }
        case .bye(let refusal): welcomed.fail(MessagingError(refusal))
        default: break
        }
    }

    func readEnded() {}

    func closed(_ end: LiveEnd) {
        outlet = nil
        welcomed.fail(end)
        if end != .closedHere { counter.add() }
    }

    private func ping(in time: Duration) {
        guard let loop = outlet?.eventLoop?.assumeIsolated() else { return }
        loop.scheduleTask(in: TimeAmount(time)) { [weak self] in
            guard let self, let outlet = self.outlet else { return }
            outlet.send(.ping(ref: nil))
            self.ping(in: self.pingInterval)
        }
    }
}
