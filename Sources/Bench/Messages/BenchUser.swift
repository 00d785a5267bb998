import ASMClient
import Domain
import NIOCore
import Synthetic

/// One simulated user: sends into its thread, checks what comes, and repeats what was not answered.
///
/// Lives on one event loop; nothing here allocates more than the message's text.
final class BenchUser: LiveHandler {
    private struct Unanswered {
        let sequence: Int
        let text: String
        let countedFrom: NIODeadline
    }

    let account: SyntheticAccount
    let member: Int
    private let load: LoopLoad
    private let conversation: Conversation
    private let index: Int
    private var text: BenchText
    private var outlet: LiveOutlet?
    private var isWelcome = false
    private var cursor: LogCursor?
    private var lastSequence = 0
    private var unanswered: [Unanswered] = []
    private var delivered: EntryNumber = 0
    private var reported: EntryNumber = 0
    private var welcomed: EventLoopPromise<Void>?
    private(set) var bye: Refusal?

    /// How long to wait before repeating what the server could not take.
    static let repeatPause = TimeAmount.milliseconds(250)

    init(
        account: SyntheticAccount, index: Int, member: Int, conversation: Conversation, load: LoopLoad,
        welcomed: EventLoopPromise<Void>
    ) {
        self.account = account
        self.index = index
        self.member = member
        self.conversation = conversation
        self.load = load
        self.welcomed = welcomed
        text = BenchText(run: load.run, member: member, size: load.workload.sizeBytes)
    }

    var unansweredCount: Int { unanswered.count }
    var isReady: Bool { isWelcome && unanswered.count < load.workload.window }

    /// Sends until the window is full.
    func fill() {
        let now = NIODeadline.now()
        while isReady, load.mayStillSend(at: now) { sendNext(countedFrom: now) }
    }

    func sendNext(countedFrom: NIODeadline) {
        lastSequence += 1
        let message = Unanswered(
            sequence: lastSequence,
            text: text.text(sequence: lastSequence, sentAt: countedFrom.uptimeNanoseconds),
            countedFrom: countedFrom)
        unanswered.append(message)
        load.counts.sent += 1
        send(message)
    }

    func sendReceipt() {
        guard delivered > reported, isWelcome else { return }
        reported = delivered
        outlet?.send(.receipt(thread: conversation.thread, delivered: delivered, read: nil))
    }

    func close() { outlet?.close() }

    /// Lets go who waits for the welcome, which will not come.
    func giveUp(_ error: any Error) {
        welcomed?.fail(error)
        welcomed = nil
    }

    // MARK: LiveHandler

    func opened(_ outlet: LiveOutlet) {
        self.outlet = outlet
        outlet.send(.hello(token: account.token, cursor: cursor))
    }

    func received(_ frame: ServerFrame) {
        switch frame {
        case .welcome(_, _, let cursor, let isResync, _):
            if isResync { load.counts.resyncs += 1 }
            if isResync || self.cursor == nil { self.cursor = cursor }
            isWelcome = true
            welcomed?.succeed()
            welcomed = nil
            for message in unanswered { send(message) }
        case .ack(let ref, _, let number, _): acknowledged(ref, number: number)
        case .entries(let cursor, let entries):
            self.cursor = cursor
            take(entries)
        case .receipts(let frame):
            cursor = frame.cursor
            load.counts.receiptFrames += 1
        case .refused(let ref, let refusal): refused(ref, refusal)
        case .resync(let cursor, _):
            load.counts.resyncs += 1
            self.cursor = cursor
        case .bye(let refusal):
            bye = refusal
            if refusal.code == .unauthenticated { giveUp(MessagingError(refusal)) }
        case .draining: outlet?.close()
        case .pong, .route, .unknown: break
        }
    }

    func readEnded() {
        if load.workload.rate == nil, unanswered.count < load.workload.window { fill() }
    }

    func closed(_ end: LiveEnd) {
        outlet = nil
        isWelcome = false
        load.counts.reconnects += 1
    }

    // MARK: Parts

    private func send(_ message: Unanswered) {
        // Unlike for each message of this author, and shaped like a UUID of version 7.
        let id = ClientID(
            high: UInt64(load.run) << 16 | 0x7000,
            low: 0x8000_0000_0000_0000 | UInt64(index) << 36 | UInt64(message.sequence))
        outlet?.send(
            .send(
                SendFrame(
                    ref: FrameRef(Int64(message.sequence)), clientID: id, thread: conversation.thread,
                    text: Sealed(message.text), priority: .normal)))
    }

    private func acknowledged(_ ref: FrameRef, number: EntryNumber) {
        guard let message = remove(ref) else { return }
        conversation.check.acknowledged(message.sequence, of: member, number: number)
        let now = NIODeadline.now()
        guard load.isMeasured(now) else { return }
        load.counts.acknowledgedMeasured += 1
        load.acknowledgements.record(UInt64((now - message.countedFrom).nanoseconds))
    }

    private func refused(_ ref: FrameRef?, _ refusal: Refusal) {
        if refusal.code == .unavailable {
            load.counts.unavailable += 1
            if let sequence = ref?.number { conversation.check.postponed(Int(sequence), of: member) }
            guard let ref, let loop = outlet?.eventLoop?.assumeIsolated() else { return }
            loop.scheduleTask(in: Self.repeatPause) {
                guard let message = self.unanswered.first(where: { Int64($0.sequence) == ref.number }) else {
                    return
                }
                self.send(message)
            }
            return
        }
        if let ref, remove(ref) != nil { load.counts.refused += 1 }
        load.counts.refusals["\(refusal.code.rawValue): \(refusal.message)", default: 0] += 1
    }

    private func remove(_ ref: FrameRef) -> Unanswered? {
        guard let sequence = ref.number,
            let index = unanswered.firstIndex(where: { Int64($0.sequence) == sequence })
        else { return nil }
        return unanswered.remove(at: index)
    }

    private func take(_ entries: [LogEntry]) {
        let now = NIODeadline.now()
        for entry in entries {
            guard let number = entry.number, entry.thread == conversation.thread else { continue }
            delivered = max(delivered, number)
            guard case .message(let text, _) = entry.content,
                let stamp = BenchText.read(text.open, run: load.run),
                stamp.member != member
            else { continue }
            conversation.check.delivered(stamp.sequence, from: stamp.member, to: member, number: number)
            guard load.isMeasured(now) else { continue }
            load.counts.deliveredMeasured += 1
            let age = now.uptimeNanoseconds &- stamp.sentAt
            load.deliveries.record(Int64(bitPattern: age) < 0 ? 0 : age)
        }
    }
}
