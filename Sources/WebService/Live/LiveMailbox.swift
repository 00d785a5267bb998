import Domain
import NIOCore
import ServiceLink
import Synchronization

/// What other threads have to say to the live sessions of one event loop.
enum LiveEvent: Sendable {
    case attached(NIOLoopBound<LiveSession>, LinkAttached)
    case moved(NIOLoopBound<LiveSession>, server: String)
    case answered(NIOLoopBound<LiveSession>, FrameRef, Result<LiveAcknowledgement, Refusal>)
    case resync(NIOLoopBound<LiveSession>, LogCursor, otherLog: Bool)
    case ended(NIOLoopBound<LiveSession>, Refusal)
    case delivery(LiveDelivery, routes: [LiveDelivery.Route])
    /// Backlogs hold nearly all that they may.
    case makeRoom
}

/// A message's place in the log, as its sender is told.
struct LiveAcknowledgement: Sendable {
    let position: LogPosition
    let number: EntryNumber
    let at: Timestamp
}

/// The way from any thread to one event loop: events in order, one wake-up however many there are.
///
/// It is bounded by what feeds it: sends in flight per connection, and the link's frames.
final class LiveMailbox: Sendable {
    private struct State {
        var events: [LiveEvent] = []
        var isScheduled = false
    }

    let eventLoop: any EventLoop
    private let room: NIOLoopBoundBox<LiveLoop>
    private let state = Mutex(State())

    init(eventLoop: any EventLoop, index: Int) {
        self.eventLoop = eventLoop
        room = NIOLoopBoundBox.makeBoxSendingValue(
            LiveLoop(eventLoop: eventLoop, index: index), eventLoop: eventLoop)
    }

    /// What lives on the event loop; only to be asked for there.
    var loop: LiveLoop { room.value }

    func post(_ event: LiveEvent) {
        let mustSchedule = state.withLock { state in
            state.events.append(event)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { eventLoop.execute { self.drain() } }
    }

    private func drain() {
        let events = state.withLock { state in
            state.isScheduled = false
            defer { state.events = [] }
            return state.events
        }
        loop.handle(events)
    }
}

/// Hands what happens to one session over to its event loop.
final class LiveSink: LinkSessionSink {
    private let mailbox: LiveMailbox
    private let session: NIOLoopBound<LiveSession>

    init(mailbox: LiveMailbox, session: NIOLoopBound<LiveSession>) {
        self.mailbox = mailbox
        self.session = session
    }

    func attached(_ attached: LinkAttached) { mailbox.post(.attached(session, attached)) }
    func moved(to server: BindAddress) { mailbox.post(.moved(session, server: "\(server)")) }
    func resync(at cursor: LogCursor, otherLog: Bool) {
        mailbox.post(.resync(session, cursor, otherLog: otherLog))
    }
    func ended(_ refusal: Refusal) { mailbox.post(.ended(session, refusal)) }
}
