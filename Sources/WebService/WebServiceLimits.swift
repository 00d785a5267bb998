package import NIOCore

/// Every bound of a Web Service, with what happens at it.
package struct WebServiceLimits: Sendable {
    // HTTP
    /// Open connections of both kinds; beyond it new ones wait in the system's backlog.
    package var connections = 50_000
    /// The first request's head must be complete this long after connecting, else the connection is closed.
    package var headTimeout = TimeAmount.seconds(10)
    /// From a request's head to the end of its body, else the connection is closed.
    package var bodyTimeout = TimeAmount.seconds(30)
    /// From a request's end to the end of its answer, long polls included, else the connection is closed.
    package var answerTimeout = TimeAmount.seconds(90)
    /// How long an idle connection is kept for a next request.
    package var keepAliveTimeout = TimeAmount.seconds(60)
    /// How long a connection that is to close may still send what nobody reads.
    package var lingerTimeout = TimeAmount.seconds(2)
    /// The largest head of a request, and how many fields it may have: beyond it 400 and close.
    package var headBytes = 16 * 1024
    package var headFields = 100
    /// The largest body of a request: beyond it 413 and close.
    package var bodyBytes = 128 * 1024
    /// The longest wait of a long poll.
    package var longPollSeconds = 30
    /// Long polls at a time: beyond it 429.
    package var longPolls = 1_000
    /// … of one log-in, and of one customer.
    package var sessionLongPolls = 4
    package var customerLongPolls = 100
    /// How long a refusal for too many requests is held back at most: who does not wait by himself waits here, and so
    /// costs no more than one who does.
    package var refusalHold = Duration.milliseconds(500)
    /// Log-ins under way at a time: beyond it 429 with `Retry-After`.
    package var logIns = 64

    // Live
    /// The largest frame of a client after joining its fragments: beyond it close 1009.
    package var frameBytes = 128 * 1024
    /// `hello` must come this long after connecting: else `bye` and close.
    package var helloTimeout = TimeAmount.seconds(10)
    /// What may wait for a slow reader: beyond it deliveries are dropped and `resync` is sent when it has drained.
    package var outgoingBytes = 256 * 1024
    /// A slow reader that has not drained in this time is closed with 1013.
    package var drainTimeout = TimeAmount.seconds(30)
    /// Sends of one connection without an answer: beyond it nothing more is read from it until one comes.
    package var sendsInFlight = 256
    /// How long a close frame may stay unanswered.
    package var closeTimeout = TimeAmount.seconds(2)
    /// When draining, clients are asked to reconnect at a random moment within this time.
    package var drainingSpread = TimeAmount.seconds(3)
    /// After it, live clients that are still here are closed with 1001.
    package var drainingTimeout = TimeAmount.seconds(5)

    package init() {}
}
