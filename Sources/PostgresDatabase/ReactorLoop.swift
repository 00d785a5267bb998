import CPq
import DequeModule
import Glibc
import Logging
import SQLDatabase

/// What the reactor's thread does: wait for sockets, answer, send what waits, watch the deadlines.
///
/// Lives on that thread only.
final class ReactorLoop {
    private enum Slot {
        case connecting(failures: Int)
        case ready(PipelinedConnection)
        case pausing(until: ContinuousClock.Instant, failures: Int)
    }

    /// How often deadlines are looked at while anything is under way, in milliseconds.
    private static let tick: Int32 = 25
    private static let eventLimit = 64
    private static let wakeupMark = UInt64.max

    private let reactor: Reactor
    private let limits: PostgresLimits
    private let wakeup: Int32
    private let poller: Int32
    private let connect: (Int) -> Void
    private var slots: [Slot]
    private var waiting = Deque<Request>()
    private var lastReason = "not connected yet"

    init(_ reactor: Reactor, wakeup: Int32, connect: @escaping (Int) -> Void) {
        self.reactor = reactor
        self.wakeup = wakeup
        self.connect = connect
        limits = reactor.limits
        slots = Array(repeating: .connecting(failures: 0), count: limits.pipelinedConnections)
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        watch(wakeup, mark: Self.wakeupMark, EPOLL_CTL_ADD)
    }

    deinit { _ = Glibc.close(poller) }

    func run() {
        for slot in slots.indices { connect(slot) }
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventLimit)
        var closing = false
        while !closing {
            let count = epoll_wait(poller, &events, Int32(Self.eventLimit), isIdle ? -1 : Self.tick)
            for event in events.prefix(Int(max(count, 0))) { handle(event) }
            closing = takeInbox()
            let now = ContinuousClock.now
            sendWaiting(now)
            checkDeadlines(now)
            reactor.reportWaiting(waiting.count)
        }
        for slot in slots.indices { drop(slot, "the database was closed", reconnect: false) }
        refuseWaiting { _ in .unavailable("the database is closed") }
        reactor.ended()
    }

    /// Nothing under way and every connection up: no clock is needed.
    private var isIdle: Bool {
        waiting.isEmpty
            && slots.allSatisfy { slot in
                if case .ready(let connection) = slot { connection.inFlightCount == 0 } else { false }
            }
    }

    private func handle(_ event: epoll_event) {
        guard event.data.u64 != Self.wakeupMark else {
            var count: UInt64 = 0
            _ = Glibc.read(wakeup, &count, 8)
            return
        }
        let slot = Int(event.data.u64)
        guard case .ready(let connection) = slots[slot] else { return }
        guard let again = connection.receive() else {
            drop(slot, "the connection was lost: \(connection.errorText)")
            return
        }
        waiting.prepend(contentsOf: again)
        if connection.wantsToWrite { flush(slot, connection) }
    }

    /// Takes over what other threads left; true when the reactor is to end.
    private func takeInbox() -> Bool {
        let inbox = reactor.takeInbox()
        waiting.append(contentsOf: inbox.requests)
        for (slot, raw) in inbox.connected {
            guard let connection = PipelinedConnection(raw, preparedLimit: limits.preparedStatements) else {
                pause(slot, "libpq does not enter pipeline mode")
                continue
            }
            slots[slot] = .ready(connection)
            watch(connection.socket, mark: UInt64(slot), EPOLL_CTL_ADD)
        }
        for (slot, reason) in inbox.failed { pause(slot, reason) }
        return inbox.closing
    }

    private func sendWaiting(_ now: ContinuousClock.Instant) {
        while !waiting.isEmpty, let (slot, connection) = leastBusy() {
            let request = waiting.removeFirst()
            let wasBlocked = connection.wantsToWrite
            guard connection.send(request, now: now) else {
                drop(slot, "the connection was lost: \(connection.errorText)")
                continue
            }
            if connection.wantsToWrite != wasBlocked { watchWrites(slot, connection) }
        }
    }

    private func leastBusy() -> (Int, PipelinedConnection)? {
        var best: (Int, PipelinedConnection)?
        for (index, slot) in slots.enumerated() {
            guard case .ready(let connection) = slot else { continue }
            let count = connection.inFlightCount
            if count == 0 { return (index, connection) }
            if count < best?.1.inFlightCount ?? limits.inFlightPerConnection { best = (index, connection) }
        }
        return best
    }

    private func checkDeadlines(_ now: ContinuousClock.Instant) {
        for index in slots.indices {
            switch slots[index] {
            case .ready(let connection):
                if let sent = connection.oldestSent, now - sent > limits.statementDeadline {
                    // Never cancelled: a cancelled commit can look like a success (docs: the first proven trap).
                    drop(index, "no answer within \(limits.statementDeadline)")
                }
            case .pausing(let until, let failures):
                if now >= until {
                    slots[index] = .connecting(failures: failures)
                    connect(index)
                }
            case .connecting: break
            }
        }
        let reason = lastReason
        let connected = slots.contains { if case .ready = $0 { true } else { false } }
        let patience = connected ? limits.busyTime : limits.waitingTime
        while let oldest = waiting.first, now - oldest.submitted > patience {
            waiting.removeFirst()
            let error: SQLError =
                connected ? .overloaded("no connection became free within \(patience)") : .unavailable(reason)
            oldest.continuation.resume(throwing: error)
        }
    }

    private func refuseWaiting(_ error: (Request) -> SQLError) {
        while let request = waiting.popFirst() { request.continuation.resume(throwing: error(request)) }
    }

    private func drop(_ slot: Int, _ reason: String, reconnect: Bool = true) {
        guard case .ready(let connection) = slots[slot] else { return }
        watch(connection.socket, mark: UInt64(slot), EPOLL_CTL_DEL)
        connection.abandon(reason)
        lastReason = reason
        guard reconnect else {
            slots[slot] = .connecting(failures: 0)
            return
        }
        reactor.logger.warning("A PostgreSQL connection was dropped", metadata: ["reason": "\(reason)"])
        slots[slot] = .connecting(failures: 0)
        connect(slot)
    }

    private func pause(_ slot: Int, _ reason: String) {
        guard case .connecting(let failures) = slots[slot] else { return }
        lastReason = reason
        if failures == 0 {
            reactor.logger.warning("PostgreSQL cannot be reached", metadata: ["reason": "\(reason)"])
        }
        let pause = limits.reconnectPause(afterFailures: failures + 1)
        slots[slot] = .pausing(until: .now + pause, failures: failures + 1)
    }

    private func flush(_ slot: Int, _ connection: PipelinedConnection) {
        guard connection.flush() else {
            drop(slot, "the connection was lost: \(connection.errorText)")
            return
        }
        if !connection.wantsToWrite { watchWrites(slot, connection) }
    }

    private func watchWrites(_ slot: Int, _ connection: PipelinedConnection) {
        watch(connection.socket, mark: UInt64(slot), EPOLL_CTL_MOD, writes: connection.wantsToWrite)
    }

    private func watch(_ descriptor: Int32, mark: UInt64, _ operation: Int32, writes: Bool = false) {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | (writes ? EPOLLOUT.rawValue : 0)
        event.data.u64 = mark
        _ = epoll_ctl(poller, operation, descriptor, &event)
    }
}
