import DequeModule
import Domain
import Foundation
import NIOCore

/// A live session as the pool keeps it; touched only on the pool's event loop.
final class SessionState {
    enum Phase {
        case waiting
        case attaching(ServerConnection)
        case attached(ServerConnection)
        case closed
    }

    /// A mark that may have to be repeated; `sentAt` is nil while no server has it.
    struct Mark {
        var receipt: LinkMarkReceipt
        var sentAt: NIODeadline?
    }

    let id: UInt64
    let token: Data
    /// Nil once the session is over, so that its owner goes too.
    var sink: (any LinkSessionSink)?
    var phase = Phase.waiting
    /// How far it was delivered to; nil before it was attached without a cursor.
    var cursor: LogCursor?
    /// Whose log it follows; 0 before it was attached.
    var customer: Int64 = 0
    var wasAttached = false
    var attachID: UInt64 = 0
    /// Not asked again before this time.
    var notBefore = NIODeadline.uptimeNanoseconds(0)
    /// The server that it has just left.
    var avoids: Int?
    /// Whether repeating its messages at the next server is outside the retry budget.
    var repeatsAreFree = false
    /// In the order of the calls; answered ones leave when they come to the front.
    var sends = Deque<PendingSend>()
    var unansweredSends = 0
    var marks: [Mark] = []

    init(id: UInt64, token: Data, cursor: LogCursor?, sink: any LinkSessionSink) {
        self.id = id
        self.token = token
        self.cursor = cursor
        self.sink = sink
    }

    /// The connection that it is attached to, or being attached.
    var connection: ServerConnection? {
        switch phase {
        case .attaching(let connection), .attached(let connection): connection
        case .waiting, .closed: nil
        }
    }

    var isWaiting: Bool {
        if case .waiting = phase { true } else { false }
    }

    /// Drops answered sends from the front.
    func trimSends() {
        while let first = sends.first, first.isDone { sends.removeFirst() }
    }

    /// Keeps a mark, merged with the thread's earlier one; the oldest goes when there are too many.
    func keep(_ receipt: LinkMarkReceipt, sentAt: NIODeadline?, now: NIODeadline, limits: LinkLimits) {
        forgetOldMarks(now: now, limits: limits)
        var mark = Mark(receipt: receipt, sentAt: sentAt)
        if let index = marks.firstIndex(where: { $0.receipt.thread == receipt.thread }) {
            let earlier = marks.remove(at: index).receipt
            mark.receipt.delivered = max(earlier.delivered, receipt.delivered)
            mark.receipt.read = max(earlier.read, receipt.read)
        }
        marks.append(mark)
        if marks.count > limits.sessionMarks { marks.removeFirst() }
    }

    func forgetOldMarks(now: NIODeadline, limits: LinkLimits) {
        let oldest = now - TimeAmount(limits.markRepeatWithin)
        marks.removeAll { mark in
            guard let sentAt = mark.sentAt else { return false }
            return sentAt < oldest
        }
    }
}

/// A session's message that waits for its answer.
final class PendingSend {
    let session: SessionState
    let message: LinkSendMessage
    let deadline: NIODeadline
    let reply: @Sendable (Result<LinkAccepted, Refusal>) -> Void
    var attempts = 0
    /// The attempt that counts: a refusal of an earlier one is stale.
    var attemptID: UInt64 = 0
    var isDone = false

    init(
        session: SessionState, message: LinkSendMessage, deadline: NIODeadline,
        reply: @escaping @Sendable (Result<LinkAccepted, Refusal>) -> Void
    ) {
        self.session = session
        self.message = message
        self.deadline = deadline
        self.reply = reply
    }
}
