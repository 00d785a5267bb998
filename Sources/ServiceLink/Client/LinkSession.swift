package import Domain

/// One live client at this process: attached to some server, and attached again elsewhere when that server
/// goes.
///
/// Safe to use from any thread; what one thread calls happens in that order.
package final class LinkSession: Sendable, Identifiable {
    /// Unique in this process; deliveries name it.
    package let id: UInt64
    private let core: PoolCore

    init(id: UInt64, core: PoolCore) {
        self.id = id
        self.core = core
    }

    /// Sends a message; repeats it with the same client id on other servers until it is answered.
    ///
    /// `reply` is called exactly once, on the pool's event loop. `unavailable` means that the outcome is
    /// unknown: it comes after `LinkLimits.sendWithin`, when the retries are used up, or at `close`; all
    /// later messages of the session that wait are refused with it, so that repeating them keeps their order.
    /// More than `LinkLimits.sessionSends` unanswered messages are refused with `tooManyRequests`.
    package func send(
        _ message: LinkSendMessage, reply: @escaping @Sendable (Result<LinkAccepted, Refusal>) -> Void
    ) {
        core.call(.send(session: id, message: message, reply: reply))
    }

    /// Says how far the user has got in a thread; nothing is answered.
    package func mark(_ receipt: LinkMarkReceipt) { core.call(.mark(session: id, receipt: receipt)) }

    /// Detaches the session; nothing is delivered to it any more.
    package func close() { core.call(.close(session: id)) }
}
