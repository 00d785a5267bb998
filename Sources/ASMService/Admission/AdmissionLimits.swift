/// How much one session, user, customer or address may ask of an ASM Service (docs/limits.md has the reasons).
package struct AdmissionLimits: Sendable {
    // Requests in hand: under way and waiting. Beyond it: `too-many-requests`.
    /// Of one session, reads and changes each.
    package var sessionRequests = 8
    /// Of one user.
    package var userRequests = 16
    /// Of one customer.
    package var customerRequests = 256

    // Requests under way: as many as the database's lanes take at a time, so that whoever waits, waits here, in turns
    // between customers, and not behind others in a queue of the database's.
    /// Reads of all customers.
    package var reads = 6
    /// … of one customer: what is left is for the others at once.
    package var customerReads = 4
    /// Changes other than messages and receipts.
    package var changes = 3
    package var customerChanges = 2

    /// Sessions whose catch-up is read, of all customers and of one, and those that wait for it.
    package var catchUpsUnderWay = 3
    package var customerCatchUps = 2
    package var catchUps = 16_384

    // Rates of one user. Beyond it: `too-many-requests` with the time until it is allowed again.
    /// Four times what each of 200 users sends when the servers are at their limit (docs/performance.md).
    package var sends = Rate(perSecond: 1_000, burst: 4_000)
    /// A page that opens reads a dozen times; a person in a hurry a few times a second.
    package var readRate = Rate(perSecond: 100, burst: 1_000)
    /// 120 a minute, and a day's worth at once.
    package var newThreads = Rate(perSecond: 2, burst: 500)

    // Live sessions: connections of clients, long polls included, on this server.
    /// Of one log-in.
    package var sessionConnections = 1_024
    /// Of one user.
    package var userConnections = 2_048

    // Log-ins.
    /// Wrong passwords from one address (IPv6: from one /64 network): log-ins from it are refused when they are used up.
    package var failedLogIns = Rate(perSecond: 1, burst: 60)
    /// Log-ins of one address under way.
    package var addressLogIns = 50
    /// Addresses and users remembered; beyond it those go first that have their whole burst.
    package var remembered = 100_000

    package init() {}
}

/// So much at once, and so much a second after that.
package struct Rate: Sendable, Hashable {
    package let perSecond: Double
    package let burst: Double

    package init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
    }
}
