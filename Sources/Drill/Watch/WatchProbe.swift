import ASMClient
import Domain
import Synchronization
import Synthetic

/// Sends through one Web Service, and over it through every ASM Service that it knows, and follows the delivery.
struct WatchProbe: Sendable {
    /// Sessions that are opened at most for each ASM Service, until each has had one: a Web Service spreads them over
    /// the servers together with everybody else's, so that two in a row may go to the same one.
    private static let sessionsPerServer = 8

    struct Result: Sendable {
        /// The slowest delivery.
        var slowest = Duration.zero
        /// From sending to delivery, by ASM Service.
        var deliveries: [String: Duration] = [:]
        var status = DeploymentStatus()
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let address: WebAddress
    let configuration: ClientConfiguration
    let sender: SyntheticAccount
    let reader: SyntheticAccount
    let thread: MessageThread.ID
    /// How long anything may take before it counts as silence.
    let limit: Duration

    func run() async throws -> Result {
        var single = configuration
        single.addresses = [address]
        let api = try WebAPI(single)
        var result = Result()
        result.status = try await within("no answer to a request") { [sender] in
            try await api.status(token: sender.token)
        }
        let listener = Correspondent(single, reader)
        return try await listener.whileConnected(limit) { [single, result] in
            try await send(to: listener, single, result)
        }
    }

    private func send(
        to listener: Correspondent, _ single: ClientConfiguration, _ soFar: Result
    ) async throws -> Result {
        var result = soFar
        let healthy = Set(result.status.servers.filter(\.isHealthy).map(\.address))
        guard !healthy.isEmpty else { throw Failure(description: "it reaches no ASM Service") }
        for _ in 0..<(healthy.count * Self.sessionsPerServer) {
            let speaker = Correspondent(single, sender)
            let covered = Set(result.deliveries.keys)
            let delivery: (server: String, time: Duration)? = try await speaker.whileConnected(limit) {
                guard let server = speaker.server, !covered.contains(server) else { return nil }
                let start = ContinuousClock.now
                let id = try await speaker.send("asm watch", in: thread)
                try await within("a message was not delivered") { try await listener.hears(id) }
                return (server, .now - start)
            }
            if let delivery {
                result.deliveries[delivery.server] = delivery.time
                result.slowest = max(result.slowest, delivery.time)
            }
            if healthy.isSubset(of: result.deliveries.keys) { break }
        }
        return result
    }

    private func within<Value: Sendable>(
        _ what: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await Deadline.within(limit, "\(what) within \(limit.rounded(0)) s", work)
    }
}

/// One live session of a probe.
final class Correspondent: Sendable {
    private struct State {
        var server: String?
        var heard: Set<ClientID> = []
        var problem = "it cannot be connected"
    }

    private static let pollEvery = Duration.milliseconds(10)

    private let configuration: ClientConfiguration
    private let account: SyntheticAccount
    private let state = Mutex(State())
    private let client = Mutex<MessagingClient?>(nil)

    init(_ configuration: ClientConfiguration, _ account: SyntheticAccount) {
        (self.configuration, self.account) = (configuration, account)
    }

    /// The ASM Service that it is attached to.
    var server: String? { state.withLock { $0.server } }

    /// Connects, does something, and goes.
    func whileConnected<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        var configuration = configuration
        // A receipt would be one more entry of the log, and proves nothing that the delivery does not.
        configuration.sendsDelivered = false
        configuration.observe = { [self] observation in heard(observation) }
        let client = try MessagingClient(configuration: configuration, token: account.token.open)
        self.client.withLock { $0 = client }
        return try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask {
                try await client.run()
                return nil
            }
            tasks.addTask {
                for await _ in client.events {}
                return nil
            }
            tasks.addTask { [self] in
                try await untilConnected(limit)
                return try await work()
            }
            defer { tasks.cancelAll() }
            while let result = try await tasks.next() {
                if let result { return result }
            }
            throw WatchProbe.Failure(description: state.withLock { $0.problem })
        }
    }

    func send(_ text: String, in thread: MessageThread.ID) async throws -> ClientID {
        guard let client = client.withLock({ $0 }) else {
            throw WatchProbe.Failure(description: "it is not connected")
        }
        return try await client.enqueue(text, in: ThreadID(thread), id: MessagingClient.newID()).id
    }

    /// Waits until a message has come.
    func hears(_ id: ClientID) async throws {
        while !state.withLock({ $0.heard.contains(id) }) { try await Task.sleep(for: Self.pollEvery) }
    }

    private func untilConnected(_ limit: Duration) async throws {
        let end = ContinuousClock.now + limit
        while server == nil {
            guard ContinuousClock.now < end else {
                throw WatchProbe.Failure(description: state.withLock { $0.problem })
            }
            try await Task.sleep(for: Self.pollEvery)
        }
    }

    private func heard(_ observation: ClientObservation) {
        state.withLock { state in
            switch observation {
            case .frame(.route(_, let server), _): state.server = server
            case .frame(.entries(_, let entries), _): state.heard.formUnion(entries.compactMap(\.clientID))
            case .ended(_, let reason): state.problem = "it cannot be connected: \(reason)"
            case .frame, .stored, .refused, .postponed: break
            }
        }
    }
}

/// Lets work take only so long.
enum Deadline {
    static func within<Value: Sendable>(
        _ limit: Duration, _ problem: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask { try await work() }
            tasks.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { tasks.cancelAll() }
            guard let first = try await tasks.next(), let value = first else {
                throw WatchProbe.Failure(description: problem)
            }
            return value
        }
    }
}
