import CPq
import Foundation
import Glibc
import Logging
import SQLDatabase
import Synchronization

/// The thread that talks on all pipelined connections, and the way statements reach it.
final class Reactor: Sendable {
    /// What other threads leave for the reactor's.
    struct Inbox: Sendable {
        var requests: [Request] = []
        var connected: [(slot: Int, connection: RawConnection)] = []
        var failed: [(slot: Int, reason: String)] = []
        var closing = false
    }

    private enum Phase {
        case new
        case running
        case closed
    }

    private struct State {
        var phase = Phase.new
        var inbox = Inbox()
        /// Whether the thread has been woken for what is in the inbox.
        var signalled = false
        /// Statements the thread holds and has not sent.
        var waiting = 0
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    let limits: PostgresLimits
    let logger: Logger
    /// How many connections have been made.
    let connections = Atomic<Int>(0)
    private let wakeup: Int32
    private let state = Mutex(State())
    private let connect: @Sendable (_ slot: Int, Reactor) -> Void

    /// - Parameter connect: opens a connection on another thread and reports it with `opened` or `failed`.
    init(
        limits: PostgresLimits, logger: Logger, connect: @escaping @Sendable (_ slot: Int, Reactor) -> Void
    ) throws {
        self.limits = limits
        self.logger = logger
        self.connect = connect
        wakeup = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard wakeup >= 0 else { throw SQLError.unavailable("no file descriptor for the PostgreSQL client") }
    }

    deinit { _ = Glibc.close(wakeup) }

    /// Sends a statement on the least busy connection and waits for its answer.
    func submit(_ statement: EncodedStatement) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            let request = Request(statement: statement, submitted: .now, continuation: continuation)
            let refusal: SQLError? = state.withLock { state in
                guard state.phase != .closed else { return .unavailable("the database is closed") }
                guard state.waiting + state.inbox.requests.count < limits.waitingStatements else {
                    return .overloaded("\(limits.waitingStatements) statements are waiting")
                }
                state.inbox.requests.append(request)
                startOrWake(&state)
                return nil
            }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// Connects before the first statement needs it.
    func start() {
        state.withLock { state in
            if state.phase == .new { startOrWake(&state) }
        }
    }

    func opened(_ connection: RawConnection, for slot: Int) {
        // Counted before any statement goes over it, so whoever has an answer knows of the connection.
        connections.add(1, ordering: .acquiringAndReleasing)
        state.withLock { state in
            guard state.phase == .running else { return }
            state.inbox.connected.append((slot, connection))
            startOrWake(&state)
        }
    }

    func failed(_ slot: Int, reason: String) {
        state.withLock { state in
            guard state.phase == .running else { return }
            state.inbox.failed.append((slot, reason))
            startOrWake(&state)
        }
    }

    /// Ends the thread and fails what is under way.
    func close() async {
        await withCheckedContinuation { closer in
            let wasRunning = state.withLock { state in
                guard state.phase == .running else {
                    state.phase = .closed
                    return false
                }
                state.closers.append(closer)
                state.inbox.closing = true
                startOrWake(&state)
                return true
            }
            if !wasRunning { closer.resume() }
        }
    }

    private func startOrWake(_ state: inout State) {
        if state.phase == .new {
            state.phase = .running
            state.signalled = true
            let thread = Thread { [self] in
                ReactorLoop(self, wakeup: wakeup, connect: { [self] in connect($0, self) }).run()
            }
            thread.name = "postgres"
            thread.start()
            wake()
        } else if !state.signalled {
            state.signalled = true
            wake()
        }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeup, &one, 8)
    }

    // MARK: For the reactor's thread

    /// Takes what has been left since the last time.
    func takeInbox() -> Inbox {
        state.withLock { state in
            state.signalled = false
            let inbox = state.inbox
            state.inbox = Inbox()
            // Counted as waiting until the thread reports what it could send.
            state.waiting += inbox.requests.count
            return inbox
        }
    }

    func reportWaiting(_ count: Int) {
        state.withLock { $0.waiting = count }
    }

    /// The thread's last words; answers what arrived too late for it.
    func ended() {
        let (inbox, closers) = state.withLock { state in
            defer {
                state.phase = .closed
                state.inbox = Inbox()
                state.closers = []
            }
            return (state.inbox, state.closers)
        }
        for request in inbox.requests {
            request.continuation.resume(throwing: SQLError.unavailable("the database is closed"))
        }
        for closer in closers { closer.resume() }
    }
}
