import Domain
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
    /// Connections of one client (an address, or a /64 network of IPv6) that have not logged in live, those of trusted
    /// proxies excepted: beyond it new ones are closed.
    package var connectionsPerClient = 5_000
    /// The largest body of a request: beyond it 413 and close.
    package var bodyBytes = 128 * 1024
    /// The largest body of a request that sends a message: any text within the limit, however a client escapes it.
    package var sendBodyBytes = MessageLimits().escapedTextBytes + Self.envelopeBytes
    /// The largest body of a log-in, and of every request without what looks like a token: beyond it 413 and close.
    package var anonymousBodyBytes = 8 * 1024
    /// What all connections together may hold of unfinished heads, bodies and live frames: beyond it 503, or close 1013.
    package var heldBytes = 128 << 20
    /// What those of one client may hold: beyond it 429, or close 1013.
    package var heldBytesPerClient = 8 << 20
    /// Who holds no more than this may use the last quarter of both, too.
    package var smallBytes = 16 * 1024
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
    /// The largest frame of a client after joining its fragments: any text within the limit, however it is escaped. Beyond it
    /// `refused` where its `ref` can be read, else close 1009.
    package var frameBytes = MessageLimits().escapedTextBytes + Self.envelopeBytes
    /// The largest frame before `welcome`: beyond it close 1009.
    package var helloBytes = 8 * 1024
    /// The largest frame that is read over so that its message can be refused: beyond it close 1009.
    package var refusedFrameBytes = 16 << 20
    /// How much of a frame that is too large is looked at for its `ref`.
    package var refBytes = 4 * 1024
    /// `hello` must come this long after connecting: else `bye` and close.
    package var helloTimeout = TimeAmount.seconds(10)
    /// What is written to a connection before the client reads: beyond it entries and receipts wait in a backlog.
    package var outgoingBytes = 256 * 1024
    /// What a backlog may hold, as `LogEntry.textBytes` counts: twice the most that is sent to who resumes, so that what
    /// comes meanwhile finds room. Beyond it all of it is dropped, and `resync` is sent.
    package var backlogEntries = 4_000
    package var backlogBytes = 8 << 20
    /// What the backlogs of all connections may hold in memory; the largest are dropped before it is reached.
    package var allBacklogBytes = 256 << 20
    /// How much the system takes from us before it can be sent. So little that answers do not wait long behind entries, and
    /// that what a client reads is soon seen.
    package var unsentBytes = 64 * 1024
    /// Who has a backlog and has not taken anything for this long is closed with 1013.
    package var drainTimeout = TimeAmount.seconds(30)
    /// Sends of one connection without an answer: beyond it nothing more is read from it until one comes.
    package var sendsInFlight = 256
    /// How long a close frame may stay unanswered.
    package var closeTimeout = TimeAmount.seconds(2)
    /// When draining, clients are asked to reconnect at a random moment within this time.
    package var drainingSpread = TimeAmount.seconds(3)
    /// After it, live clients that are still here are closed with 1001.
    package var drainingTimeout = TimeAmount.seconds(5)

    /// What a message needs beside its text: fields, ids, spaces between them.
    private static let envelopeBytes = 8 * 1024

    package init() {}
}
