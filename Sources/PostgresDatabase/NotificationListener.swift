import CPq
import Foundation
import Glibc
import Logging
import SQLDatabase
import Synchronization

/// A thread with a connection of its own that listens for notifications, as long as anybody does.
final class NotificationListener: Sendable {
    private enum Phase {
        case new
        case running
        case closed
    }

    /// How long the thread waits at most before it looks whether the connection still lives, in milliseconds.
    private static let idleWait: Int32 = 10_000

    private let string: ConnectionString
    private let limits: PostgresLimits
    private let logger: Logger
    private let hub = NotificationHub()
    private let wakeup: Int32
    private let phase = Mutex(Phase.new)

    init(_ string: ConnectionString, _ limits: PostgresLimits, _ logger: Logger) throws {
        self.string = string
        self.limits = limits
        self.logger = logger
        wakeup = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard wakeup >= 0 else { throw SQLError.unavailable("no file descriptor for the PostgreSQL client") }
    }

    deinit { _ = Glibc.close(wakeup) }

    func listen(on channel: String) -> AsyncStream<String> {
        let stream = hub.listen(on: channel)
        phase.withLock { phase in
            if phase == .new {
                phase = .running
                let thread = Thread { [self] in run() }
                thread.name = "postgres-listen"
                thread.start()
            }
        }
        wake()
        return stream
    }

    /// Ends the streams at once and the thread soon.
    func close() {
        phase.withLock { $0 = .closed }
        hub.close()
        wake()
    }

    private var isClosed: Bool { phase.withLock { $0 == .closed } }

    private func run() {
        var failures = 0
        while !isClosed {
            do {
                let connection = try BlockingConnection(RawConnection.open(string))
                failures = 0
                try follow(connection)
            } catch {
                failures += 1
                if failures == 1 {
                    logger.warning("Listening to PostgreSQL was interrupted", metadata: ["error": "\(error)"])
                }
                pause(limits.reconnectPause(afterFailures: failures))
            }
        }
    }

    /// Passes on what is told until the connection breaks or the listener is closed.
    private func follow(_ connection: BlockingConnection) throws {
        var listened: Set<String> = []
        while !isClosed {
            let missing = hub.channels.subtracting(listened)
            if !missing.isEmpty {
                for channel in missing {
                    let deadline = ContinuousClock.now + limits.statementDeadline
                    try connection.runSimple("LISTEN \(connection.quoted(channel))", deadline: deadline)
                }
                listened.formUnion(missing)
                // Until now something may have been told unheard.
                for channel in missing { hub.tell("", on: channel) }
            }
            for (channel, payload) in try connection.notifications() { hub.tell(payload, on: channel) }
            wait(for: connection.socket)
        }
    }

    private func wait(for socket: Int32) {
        var descriptors = [
            pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&descriptors, 2, Self.idleWait)
        takeWakeup()
    }

    private func pause(_ duration: Duration) {
        var descriptor = pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)
        let milliseconds =
            duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
        _ = poll(&descriptor, 1, Int32(clamping: milliseconds))
        takeWakeup()
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeup, &one, 8)
    }

    private func takeWakeup() {
        var count: UInt64 = 0
        _ = Glibc.read(wakeup, &count, 8)
    }
}
