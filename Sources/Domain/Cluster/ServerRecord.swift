/// An ASM Service as the database knows it.
package struct ServerRecord: Sendable, Hashable {
    package let id: Int64
    /// What it is registered as: host and port where the web tier reaches it, or a name of its own.
    package let address: String
    package let version: String
    package let boot: Token128
    package let beat: Int64
    /// Microseconds since it was heard of, by the database's clock.
    package let silentMicroseconds: Int64
    /// Microseconds since its Last Active time, by the same clock.
    package let inactiveMicroseconds: Int64
    /// The state it gave itself with its last beat, and why.
    package let said: String
    package let reason: String
    package let startedAt: Timestamp
    package let lastActive: Timestamp
    package let stoppedAt: Timestamp?
    package let isDrainRequested: Bool
    /// The High Availability licence slot that it holds; nil when it holds none.
    package let slot: Int64?
    /// What is open against it.
    package let incidents: Set<IncidentKind>

    package init(
        id: Int64, address: String, version: String, boot: Token128, beat: Int64, silentMicroseconds: Int64,
        inactiveMicroseconds: Int64, said: String, reason: String, startedAt: Timestamp,
        lastActive: Timestamp, stoppedAt: Timestamp?,
        isDrainRequested: Bool, slot: Int64?, incidents: Set<IncidentKind>
    ) {
        self.id = id
        self.address = address
        self.version = version
        self.boot = boot
        self.beat = beat
        self.silentMicroseconds = silentMicroseconds
        self.inactiveMicroseconds = inactiveMicroseconds
        self.said = said
        self.reason = reason
        self.startedAt = startedAt
        self.lastActive = lastActive
        self.stoppedAt = stoppedAt
        self.isDrainRequested = isDrainRequested
        self.slot = slot
        self.incidents = incidents
    }

    /// One word for people: what it said last, unless it has not been heard of since.
    package func state(_ times: ClusterTimes = ClusterTimes()) -> String {
        if stoppedAt != nil { return "stopped" }
        if isSilent(times) { return incidents.contains(.inactive) ? "inactive" : "unreachable" }
        // A server of the version before says nothing of its state; this is its successor's last word.
        return said == "stopped" ? "active" : said
    }

    /// Whether it has been heard of lately.
    package func isBeating(_ times: ClusterTimes = ClusterTimes()) -> Bool {
        stoppedAt == nil && !isSilent(times)
    }

    /// A time that lies ahead is as old as one that long ago: the database's clock was set back since it was written.
    private func isSilent(_ times: ClusterTimes) -> Bool {
        silentMicroseconds.magnitude > UInt64(times.unreachableAfter.microseconds)
    }
}

/// What can be wrong with a server; at most one of each kind is open against it.
package enum IncidentKind: String, Sendable, Hashable, CaseIterable {
    /// Its Last Active time is too old: *Server Inactive*.
    case inactive
    /// It has not been heard of for some seconds: *Server Unreachable*.
    case unreachable
}
