package import Domain

/// One live client at this process: attached to some server, and attached again elsewhere when that server goes.
///
/// Safe to use from any thread; what one thread calls happens in that order.
package final class LinkSession: Sendable, Identifiable {
    /// Unique in this process; deliveries name it.
    package let id: UInt64

    init(id: UInt64) { self.id = id }

    /// Sends a message; repeats it with the same client id on other servers until it is answered, at most 15 s.
    ///
    /// `reply` is called exactly once, on the pool's event loop. `unavailable` means that the outcome is unknown.
    package func send(
        _ message: LinkSendMessage, reply: @escaping @Sendable (Result<LinkAccepted, Refusal>) -> Void
    ) {}

    /// Says how far the user has got in a thread; nothing is answered.
    package func mark(_ receipt: LinkMarkReceipt) {}

    /// Detaches the session; nothing is delivered to it any more.
    package func close() {}
}
