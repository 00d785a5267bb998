import Domain
import NIOCore

/// What belongs to one event loop: its live sessions, its deadlines, and memory that they share while they work.
///
/// Used on its event loop only.
final class LiveLoop {
    let eventLoop: any EventLoop
    /// Which of the process's event loops this is.
    let index: Int
    let sweep: DeadlineSweep
    /// Where frames are encoded before their length is known.
    var scratch: [UInt8] = []
    /// Where frames are unmasked.
    var text = ByteBuffer()

    private var sessions: [UInt64: LiveSession] = [:]
    private var unflushed: [LiveSession] = []
    /// Those for which something waits until they have read what came before.
    private var behind: [ObjectIdentifier: LiveSession] = [:]
    private var open: Set<ObjectIdentifier> = []
    private var waitingForEnd: [EventLoopPromise<Void>] = []

    init(eventLoop: any EventLoop, index: Int) {
        self.eventLoop = eventLoop
        self.index = index
        sweep = DeadlineSweep(eventLoop: eventLoop)
        scratch.reserveCapacity(4_096)
    }

    // MARK: Sessions

    func opened(_ session: LiveSession) { open.insert(ObjectIdentifier(session)) }

    func closed(_ session: LiveSession, number: UInt64?) {
        open.remove(ObjectIdentifier(session))
        if let number { sessions[number] = nil }
        guard open.isEmpty else { return }
        for promise in waitingForEnd { promise.succeed() }
        waitingForEnd = []
    }

    /// Deliveries that name this number are for the session.
    func attach(_ session: LiveSession, number: UInt64) { sessions[number] = session }

    /// Nothing is delivered to this number any more.
    func detach(_ number: UInt64) { sessions[number] = nil }

    /// Completed when no live connection is left on this event loop.
    func whenEmpty() -> EventLoopFuture<Void> {
        guard !open.isEmpty else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        waitingForEnd.append(promise)
        return promise.futureResult
    }

    // MARK: Work

    func handle(_ events: [LiveEvent]) {
        for event in events {
            switch event {
            case .attached(let session, let attached): session.value.attached(attached)
            case .moved(let session, let server): session.value.moved(to: server)
            case .answered(let session, let ref, let result): session.value.answered(ref, result)
            case .resync(let session, let cursor, let otherLog):
                session.value.resync(at: cursor, otherLog: otherLog)
            case .ended(let session, let refusal): session.value.ended(refusal)
            case .delivery(let delivery, let routes): deliver(delivery, routes)
            case .makeRoom: makeRoom()
            }
        }
        flush()
    }

    /// Remembers that the session has a backlog.
    func fellBehind(_ session: LiveSession) { behind[ObjectIdentifier(session)] = session }

    /// The session has none any more; again is harmless.
    func caughtUp(_ session: LiveSession) { behind[ObjectIdentifier(session)] = nil }

    /// Drops the largest backlog.
    /// - Parameter bytes: it must be larger than this; else nothing is dropped, and the answer is false.
    func dropLargestBacklog(beyond bytes: Int = 0) -> Bool {
        let largest = behind.values.max { $0.backlog.bytes < $1.backlog.bytes }
        guard let largest, largest.backlog.bytes > bytes else { return false }
        largest.dropBacklog()
        return true
    }

    private func makeRoom() {
        guard behind.values.first?.hub.backlogs.isTight == true else { return }
        _ = dropLargestBacklog()
    }

    /// Remembers to flush the session at the end of this tick.
    func willFlush(_ session: LiveSession) { unflushed.append(session) }

    /// Writes what the sessions have gathered: one write and one flush for each.
    func flush() {
        while !unflushed.isEmpty {
            let sessions = unflushed
            unflushed.removeAll(keepingCapacity: true)
            for session in sessions { session.flush() }
        }
    }

    /// Gives each session its entries of the delivery, in order; the entries of one session are chained, so that
    /// nothing is allocated per session.
    private func deliver(_ delivery: LiveDelivery, _ routes: [LiveDelivery.Route]) {
        var next = [Int32](repeating: -1, count: routes.count)
        var reached: [LiveSession] = []
        for (index, route) in routes.enumerated() {
            guard let session = sessions[route.session] else { continue }
            if session.firstRoute < 0 {
                session.firstRoute = Int32(index)
                reached.append(session)
            } else {
                next[Int(session.lastRoute)] = Int32(index)
            }
            session.lastRoute = Int32(index)
        }
        for session in reached {
            var chain = LiveDelivery.Chain(routes: routes, next: next, index: session.firstRoute)
            session.firstRoute = -1
            session.lastRoute = -1
            session.deliver(delivery, &chain)
        }
    }
}
