/// Every bound of the service link: sizes, windows and times, for both of its ends.
package struct LinkLimits: Sendable, Hashable {
    /// The versions of the protocol that this end speaks.
    package var versions = LinkVersions.ours

    // Both ends
    /// The longest frame, without its length.
    package var frameBytes = 16 << 20
    /// What may wait for the peer on one connection; beyond it the connection is closed.
    package var outgoingBytes = 64 << 20
    /// The longest first frame: who has not said hello yet is taken no memory for.
    package var helloBytes = 4 << 10
    /// How long the peer has from the connection's begin to the end of its first frame, whatever it sends meanwhile.
    package var helloWithin: Duration = .seconds(1)

    // Server
    /// Connections at one time: each process of the web tier has one.
    package var connections = 256
    /// … and from one address, behind which there may be several processes.
    package var connectionsPerAddress = 64
    /// A connection that brought nothing (not even a ping) for so long is closed.
    package var silence: Duration = .seconds(10)
    /// How long a stopping server waits for its clients to move and for what is in flight.
    package var drainWithin: Duration = .seconds(5)
    /// A stopping server ends sooner when no request was in flight for so long.
    package var drainQuiet: Duration = .milliseconds(500)

    // Client
    package var connectWithin: Duration = .seconds(1)
    /// How long a server stays away at least before it is tried again; jittered by a fifth.
    package var probeEvery: Duration = .seconds(1)
    package var pingEvery: Duration = .seconds(1)
    /// A server without a pong for so long is left.
    package var pongWithin: Duration = .milliseconds(2_500)
    /// When the sweep itself comes so late, this process stood still: its servers are not to blame.
    package var stall: Duration = .seconds(1)
    /// After the loss of a connection that worked, how long until it is tried again for the first time.
    package var firstProbeAfter: Duration = .milliseconds(100)
    /// How often deadlines are looked at.
    package var sweepEvery: Duration = .milliseconds(100)
    /// How long one server has for one request before the next is asked.
    package var attemptWithin: Duration = .seconds(5)
    /// How long a request may take over all servers, unless the caller says otherwise.
    package var requestWithin: Duration = .seconds(10)
    /// How long a session's message may take over all servers.
    package var sendWithin: Duration = .seconds(15)
    /// How often one request is sent at most.
    package var attempts = 8
    /// Requests that may wait for an answer or for a server, over all sessions.
    package var outstandingRequests = 65_536
    /// Unanswered messages of one session.
    package var sessionSends = 256
    /// Threads whose marks one session keeps to repeat them.
    package var sessionMarks = 64
    /// Marks sent within this time before a server was left are repeated on the next; more than `pongWithin`, so that none
    /// is lost in a server that stands still.
    package var markRepeatWithin: Duration = .seconds(5)
    /// Sessions being attached at one server at a time; the others wait their turn.
    package var attachWindow = 512
    /// Retries per hundred requests.
    package var retryPercent = 10
    /// Retries allowed in one window whatever the number of requests.
    package var retryFloor = 32
    package var retryWindow: Duration = .seconds(10)

    package init() {}
}

extension Duration {
    /// In whole milliseconds, cut off.
    var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
}
