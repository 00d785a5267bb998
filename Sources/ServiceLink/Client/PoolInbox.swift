import Domain
import NIOCore
import Synchronization

/// What callers on other threads want of a pool, until its event loop takes it: one wake-up per tick.
final class PoolInbox: Sendable {
    enum Call: Sendable {
        case open(session: UInt64, token: [UInt8], cursor: LogCursor?, sink: any LinkSessionSink)
        case send(
            session: UInt64, message: LinkSendMessage,
            reply: @Sendable (Result<LinkAccepted, Refusal>) -> Void)
        case mark(session: UInt64, receipt: LinkMarkReceipt)
        case close(session: UInt64)
        case request(
            body: LinkRequest.OneOf_Body, token: [UInt8]?, deadline: Duration?,
            reply: @Sendable (Result<LinkResponse.OneOf_Body, Refusal>) -> Void)
    }

    enum Outcome {
        /// The event loop will come anyway.
        case taken
        /// The caller must wake the event loop.
        case takenFirst
        /// Too many calls wait for the event loop.
        case full
    }

    private let state = Mutex((calls: [Call](), isScheduled: false))
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    func put(_ call: Call) -> Outcome {
        state.withLock { state in
            if state.calls.count >= limit, call.isRefusable { return .full }
            state.calls.append(call)
            if state.isScheduled { return .taken }
            state.isScheduled = true
            return .takenFirst
        }
    }

    /// All calls so far, in order.
    func takeAll() -> [Call] {
        state.withLock { state in
            state.isScheduled = false
            let calls = state.calls
            state.calls = []
            return calls
        }
    }
}

extension PoolInbox.Call {
    /// Opening and closing always pass: each session does it once.
    fileprivate var isRefusable: Bool {
        switch self {
        case .send, .mark, .request: true
        case .open, .close: false
        }
    }
}
