import Domain
import NIOCore
import Observability
import ServiceLink

/// One live client: a WebSocket's frames in, and answers, entries and receipts out.
///
/// The only handler of its connection. What it gathers in one tick of the event loop goes out in one write. It holds
/// no timer: the sweep looks at it only while something is due.
final class LiveSession: ChannelDuplexHandler, DeadlineKeeper {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case waitingForHello
        case attaching(LinkSession)
        case live(LinkSession)
        /// A close frame was sent; only the client's is waited for.
        case closing
    }

    let hub: LiveHub
    let pool: LinkPool
    let mailbox: LiveMailbox
    let loop: LiveLoop
    let share: ConnectionShare
    var phase = Phase.waitingForHello
    var deadline: NIODeadline?
    var context: ChannelHandlerContext?

    // Coming in
    var unread = ByteBuffer()
    /// The joined fragments of a message that is not complete; nil when none is under way.
    var fragments: ByteBuffer?
    var sendsInFlight = 0
    var isReadWithheld = false
    /// How many bytes are still to come of a frame whose message was refused, and are thrown away.
    var refusedBytes = 0
    /// Whether the fragments still to come are thrown away, because their message was refused.
    var isRefusingFragments = false
    /// Set when the bytes that come make no sense any more.
    var isDeaf = false

    // Going out
    var outgoing = ByteBuffer()
    var isFlushDue = false
    /// What waits until the client has taken what came before.
    var backlog = LiveBacklog()
    /// Whether it is told when all that was written is taken.
    var isWaitingUntilTaken = false
    /// All bytes that were given to the connection.
    var writtenBytes = 0
    /// How many of them had been taken when the reader was last looked at.
    var takenBefore = 0
    /// Where the client stands whose deliveries are being dropped because it reads too slowly.
    var droppedUpTo: LogCursor?
    /// Whether the log has become another one meanwhile.
    var droppedOtherLog = false
    /// The ASM Service that it is attached to.
    var server: String?
    /// Whether the client has asked to be told the servers that its session goes through.
    var tellsRoute = false
    /// Used by `LiveLoop.deliver`.
    var firstRoute: Int32 = -1
    var lastRoute: Int32 = -1

    init(hub: LiveHub, pool: LinkPool, mailbox: LiveMailbox, share: ConnectionShare) {
        self.share = share
        self.hub = hub
        self.pool = pool
        self.mailbox = mailbox
        loop = mailbox.loop
    }

    // MARK: The connection's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.opened(self)
        hub.metrics.liveClients.add(1)
        dueWithin(hub.limits.helloTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        var number: UInt64?
        switch phase {
        case .attaching(let session), .live(let session): number = leave(session)
        case .waitingForHello, .closing: break
        }
        phase = .closing
        forgetBacklog()
        nothingDue()
        unread = ByteBuffer()
        fragments = nil
        self.context = nil
        hub.metrics.liveClients.add(-1)
        loop.closed(self, number: number)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            drain()
            loop.flush()
        } else if let event = event as? ChannelEvent, event == .inputClosed {
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func deadlinePassed() {
        nothingDue()
        switch phase {
        case .waitingForHello:
            bye(Refusal(.outOfOrder, "No `hello` came in time; send it first, right after connecting."))
        case .attaching: bye(Self.noServer)
        case .live: readerIsDue()
        case .closing: context?.close(promise: nil)
        }
        loop.flush()
    }

    static let noServer = Refusal(
        .unavailable, "No ASM Service can be reached; try again soon.", retryAfterMilliseconds: 1_000)

    // MARK: What the link says

    func attached(_ attached: LinkAttached) {
        guard case .attaching(let session) = phase else { return }
        phase = .live(session)
        share.loggedIn()
        nothingDue()
        let identity = attached.identity
        write(
            .welcome(
                user: User.ID(rawValue: identity.user.id), device: Device.ID(rawValue: identity.device),
                cursor: attached.cursor, resync: attached.resync, otherLog: attached.otherLog))
        resumeReading()
    }

    func moved(to server: String) {
        self.server = server
        if tellsRoute { tellRoute() }
    }

    func tellRoute() {
        tellsRoute = true
        guard let server else { return }
        write(.route(web: hub.name, server: server))
    }

    func answered(_ ref: FrameRef, _ result: Result<LiveAcknowledgement, Refusal>) {
        sendsInFlight -= 1
        switch result {
        case .success(let accepted):
            write(.ack(ref: ref, position: accepted.position, number: accepted.number, at: accepted.at))
        case .failure(let refusal): refuse(refusal, ref: ref)
        }
        resumeReading()
    }

    /// What the client has not been sent yet is of another log, or comes again with all the rest.
    func resync(at cursor: LogCursor, otherLog: Bool) {
        forgetBacklog()
        guard droppedUpTo != nil else { return write(.resync(cursor: cursor, otherLog: otherLog)) }
        droppedUpTo = cursor
        droppedOtherLog = droppedOtherLog || otherLog
    }

    func ended(_ refusal: Refusal) { bye(refusal) }

    // MARK: Ends

    /// Asks the client to connect elsewhere at a random moment soon, and closes later what is still here.
    private func drain() {
        switch phase {
        case .closing: return
        case .waitingForHello, .attaching: close(.serverGoing)
        case .live:
            let spread = max(1, hub.limits.drainingSpread.nanoseconds / 1_000_000)
            write(.draining(reconnectAfterMilliseconds: Int(Int64.random(in: 0...spread))))
            let context = self.context
            let timeout = hub.limits.drainingTimeout
            context?.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
                self.close(.serverGoing)
                self.loop.flush()
            }
        }
    }

    /// Says why the session ends, and ends it.
    func bye(_ refusal: Refusal) {
        guard context != nil else { return }
        if case .closing = phase { return }
        hub.metrics.refused(refusal.code)
        write(.bye(refusal))
        close(.byeWasSent)
    }

    /// Sends a close frame; the connection goes when the client answers it, or soon.
    func close(_ code: WebSocketCloseCode) {
        guard context != nil else { return }
        switch phase {
        case .closing: return
        case .attaching(let session), .live(let session):
            let number = leave(session)
            loop.detach(number)
        case .waitingForHello: break
        }
        phase = .closing
        droppedUpTo = nil
        forgetBacklog()
        prepareToWrite(WebSocketWriter.headerLimit)
        WebSocketWriter.writeClose(code, into: &outgoing)
        dueWithin(hub.limits.closeTimeout)
        resumeReading()
    }

    private func leave(_ session: LinkSession) -> UInt64 {
        session.close()
        hub.detached(session.id)
        return session.id
    }

    // MARK: Deadlines

    func dueWithin(_ time: TimeAmount) {
        deadline = .now() + time
        loop.sweep.watch(self)
    }

    func nothingDue() {
        deadline = nil
        loop.sweep.forget(self)
    }
}
