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

    private let state = Mutex((calls: [Call](), isScheduled: false))

    /// Takes a call; true when the caller must wake the event loop, false when it will come anyway.
    func put(_ call: Call) -> Bool {
        state.withLock { state in
            state.calls.append(call)
            if state.isScheduled { return false }
            state.isScheduled = true
            return true
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
