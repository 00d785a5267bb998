import DequeModule
import Domain
import Foundation
import Logging
import NIOCore
import Observability
import SwiftProtobuf
import Synchronization
import TransportSecurity

/// The bookkeeping of a pool: which session is where, what is unanswered, who is healthy.
///
/// All of it happens on one event loop, so that nothing but the inbox needs a lock. `PoolServers`,
/// `PoolSessions` and `PoolRequests` hold its three parts.
///
/// @unchecked: every `var` is touched on `loop` only, and the rest is Sendable by itself.
final class PoolCore: @unchecked Sendable {
    enum Phase { case new, running, stopped }

    let loop: any EventLoop
    let limits: LinkLimits
    let hello: LinkHello
    let security: SecurityFiles?
    let events: any LinkPoolEvents
    let logger: Logger
    let counters: PoolCounters
    private let inbox: PoolInbox
    private let lastSession = Atomic<UInt64>(0)
    private let serving = Atomic<Bool>(false)
    private let published: Mutex<[PublishedServer]>

    var phase = Phase.new
    /// The time of this tick.
    var now = NIODeadline.now()
    var servers: [PoolServer]
    var nextServer = 0
    var sessions: [UInt64: SessionState] = [:]
    /// Sessions without a server; closed ones are passed over.
    var waiting: Deque<SessionState> = []
    /// Requests without a server.
    var waitingRequests: Deque<PendingRequest> = []
    var outstanding = 0
    var budget: RetryBudget
    var sweep: RepeatedTask?
    var sweptAt = NIODeadline.now()
    private var lastRequest: UInt64 = 0

    private struct PublishedServer: Sendable {
        let address: BindAddress
        let state: ServerHealth.State
        let since: NIODeadline
        let sessions: Int
    }

    init(
        servers: ServerList, hello: LinkHello, limits: LinkLimits, security: SecurityFiles?,
        events: any LinkPoolEvents, loop: any EventLoop, metrics: MetricRegistry, logger: Logger
    ) {
        let now = NIODeadline.now()
        self.loop = loop
        self.limits = limits
        inbox = PoolInbox(limit: limits.outstandingRequests)
        self.hello = hello
        self.security = security
        self.events = events
        self.logger = logger
        counters = PoolCounters(metrics)
        budget = RetryBudget(limits: limits)
        let first = servers.addresses.map {
            PublishedServer(address: $0, state: .connecting, since: now, sessions: 0)
        }
        published = Mutex(first)
        self.servers = servers.addresses.enumerated().map {
            PoolServer(index: $0.offset, address: $0.element, now: now)
        }
        // Processes that start together begin with different servers.
        nextServer = Int.random(in: 0..<servers.addresses.count)
    }

    // MARK: From any thread

    var isServing: Bool { serving.load(ordering: .relaxed) }

    var health: [ServerHealth] {
        let now = NIODeadline.now()
        return published.withLock { $0 }.map {
            ServerHealth(
                address: $0.address, state: $0.state, inStateFor: Duration(max(now - $0.since, .zero)),
                sessions: $0.sessions)
        }
    }

    func newSessionID() -> UInt64 { lastSession.wrappingAdd(1, ordering: .relaxed).newValue }

    func call(_ call: PoolInbox.Call) {
        switch inbox.put(call) {
        case .taken: break
        case .takenFirst: loop.execute { [self] in drain() }
        case .full:
            loop.execute {
                switch call {
                case .send(_, _, let reply): reply(.failure(Self.tooMany))
                case .request(_, _, _, let reply): reply(.failure(Self.tooMany))
                case .mark, .open, .close: break
                }
            }
        }
    }

    func start() { loop.execute { [self] in begin() } }

    /// Refuses everything from now on and closes all connections.
    func stop() async {
        let closed = loop.flatSubmit { [self] in end() }
        try? await closed.get()  // A channel that fails to close is closed already.
    }

    // MARK: On the event loop

    func nextRequestID() -> UInt64 {
        lastRequest += 1
        return lastRequest
    }

    /// Publishes what other threads may ask for.
    func publish() {
        let servers = servers.map {
            PublishedServer(address: $0.address, state: $0.state, since: $0.since, sessions: $0.sessions)
        }
        published.withLock { $0 = servers }
        serving.store(servers.contains { $0.state == .healthy }, ordering: .relaxed)
        counters.sessions.set(sessions.count)
        counters.waiting.set(waiting.count)
    }

    private func begin() {
        guard phase == .new else { return }
        phase = .running
        now = .now()
        sweptAt = now
        sweep = loop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(limits.sweepEvery)) {
            [self] _ in
            sweepAll()
        }
    }

    private func drain() {
        loop.assertInEventLoop()
        now = .now()
        for server in servers { server.connection?.outbox.hold() }
        defer { for server in servers { server.connection?.outbox.flush() } }
        for call in inbox.takeAll() {
            switch call {
            case .send(let session, let message, let reply): send(message, of: session, reply: reply)
            case .mark(let session, let receipt): mark(receipt, of: session)
            case .request(let body, let token, let deadline, let reply):
                let deadline = now + TimeAmount(deadline ?? limits.requestWithin)
                submit(
                    PendingRequest(
                        body: body, token: token.map { Data($0) }, deadline: deadline, reply: reply))
            case .open(let id, let token, let cursor, let sink):
                open(SessionState(id: id, token: Data(token), cursor: cursor, sink: sink))
            case .close(let session): close(session)
            }
        }
    }

    private func end() -> EventLoopFuture<Void> {
        phase = .stopped
        now = .now()
        sweep?.cancel()
        sweep = nil
        var closing: [EventLoopFuture<Void>] = []
        for server in servers {
            guard let connection = server.connection else { continue }
            connection.isLost = true
            server.connection = nil
            server.state = .unreachable
            for (_, asked) in connection.takeAll() {
                if case .request(let request) = asked { finish(request, .failure(Self.unavailable)) }
            }
            counters.connections.add(-1)
            connection.channel.close(promise: nil)
            closing.append(connection.channel.closeFuture)
        }
        for request in waitingRequests { finish(request, .failure(Self.unavailable)) }
        waitingRequests = []
        for session in Array(sessions.values) { close(session.id) }
        waiting = []
        publish()
        return EventLoopFuture.andAllComplete(closing, on: loop)
    }

    /// The refusal of what no server has answered; the outcome is unknown.
    static let unavailable = Refusal(
        .unavailable, "No server has answered; try again with the same client id.",
        retryAfterMilliseconds: 1_000)
    static let tooMany = Refusal(
        .tooManyRequests, "Too many requests are waiting for an answer.", retryAfterMilliseconds: 1_000)
}

extension Refusal {
    /// What the last attempt's refusal says of the request.
    ///
    /// A void token, or a server that takes no more at the moment, says nothing of what an earlier attempt has stored: then
    /// the outcome is unknown. Every other refusal is made after looking whether the request was stored.
    func afterAttempts(_ count: Int) -> Refusal {
        let saysNothing = code == .unauthenticated || code == .tooManyRequests
        return count > 1 && saysNothing ? PoolCore.unavailable : self
    }
}

/// What a pool counts.
struct PoolCounters: Sendable {
    let requests: Counter
    let retries: Counter
    let failovers: Counter
    let reattached: Counter
    let connections: Gauge
    let sessions: Gauge
    let waiting: Gauge

    init(_ metrics: MetricRegistry) {
        requests = metrics.counter(.linkRequests)
        retries = metrics.counter(.linkRetries)
        failovers = metrics.counter(.linkFailovers)
        reattached = metrics.counter(.linkReattached)
        connections = metrics.gauge(.linkConnections)
        sessions = metrics.gauge(.linkSessions)
        waiting = metrics.gauge(.linkWaiting)
    }
}
