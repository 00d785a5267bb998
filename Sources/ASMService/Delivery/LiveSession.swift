import Domain
import ServiceLink
import Store
import Synchronization

/// Names a live session on this server: the connection of its web process, and the number that the process gave it.
struct SessionAddress: Hashable, Sendable {
    let connection: UInt64
    let session: UInt64

    init(connection: UInt64, session: UInt64) {
        self.connection = connection
        self.session = session
    }
}

/// One live client as this server knows it.
final class LiveSession: Sendable {
    let address: SessionAddress
    let connection: LinkConnection
    private struct State {
        var record: SessionRecord?
        var isClosed = false
        var isBroken = false
        /// Counts it out; called once.
        var whenClosed: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    init(number: UInt64, connection: LinkConnection) {
        address = SessionAddress(connection: connection.id, session: number)
        self.connection = connection
    }

    /// Whose session it is; nil until its token was accepted.
    var record: SessionRecord? { state.withLock { $0.isClosed ? nil : $0.record } }
    var isClosed: Bool { state.withLock { $0.isClosed } }
    /// Set when a message's outcome is not known: nothing more is taken from the session until it is attached anew,
    /// so that no later message overtakes the one that will be repeated.
    var isBroken: Bool { state.withLock { $0.isBroken } }

    /// - Parameter whenClosed: called once it is closed; at once when it is already.
    func accept(_ record: SessionRecord, whenClosed: @escaping @Sendable () -> Void) {
        let isClosed = state.withLock { state in
            state.record = record
            if !state.isClosed { state.whenClosed = whenClosed }
            return state.isClosed
        }
        if isClosed { whenClosed() }
    }

    func close() {
        let whenClosed = state.withLock { state in
            state.isClosed = true
            defer { state.whenClosed = nil }
            return state.whenClosed
        }
        whenClosed?()
    }

    func breakOff() { state.withLock { $0.isBroken = true } }
}

/// An entry that was committed or read, and the session that caused it, which knows it from its answer.
struct CommittedEntry: Sendable {
    let entry: LogEntry
    let origin: SessionAddress?

    init(_ entry: LogEntry, origin: SessionAddress?) {
        self.entry = entry
        self.origin = origin
    }
}
