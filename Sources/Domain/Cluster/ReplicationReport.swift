/// Whether an acknowledged message can be lost, as far as the database's replication says.
package struct ReplicationReport: Sendable, Hashable {
    package enum Answer: String, Sendable, Hashable {
        case no, yes, unknown
    }

    /// A standby that follows the database.
    package struct Standby: Sendable, Hashable {
        package let name: String
        /// `sync`, `quorum`, `async` or `potential`; empty when this role may not see it.
        package let syncState: String
        package let state: String
        /// What the standby has not yet made durable; nil when it is not known.
        package let lagBytes: Int64?
        package let lagMicroseconds: Int64?

        package init(
            name: String, syncState: String, state: String, lagBytes: Int64?, lagMicroseconds: Int64?
        ) {
            self.name = name
            self.syncState = syncState
            self.state = state
            self.lagBytes = lagBytes
            self.lagMicroseconds = lagMicroseconds
        }
    }

    package let canLose: Answer
    /// Why, in a sentence for an administrator.
    package let reason: String
    package let standbys: [Standby]

    package init(canLose: Answer, reason: String, standbys: [Standby] = []) {
        self.canLose = canLose
        self.reason = reason
        self.standbys = standbys
    }

    /// The statement as the product shows it.
    package var statement: String {
        "An acknowledged message can be lost: \(canLose.rawValue). \(reason)"
    }
}

/// What PostgreSQL says of its durability and replication; judged here, so that every case can be tested.
package struct ReplicationFacts: Sendable, Hashable {
    package var synchronousCommit: String
    package var synchronousStandbyNames: String
    package var fsync: String
    /// Replication slots of standbys that are not connected.
    package var idleSlots: Int
    package var standbys: [ReplicationReport.Standby]

    package init(
        synchronousCommit: String, synchronousStandbyNames: String, fsync: String, idleSlots: Int,
        standbys: [ReplicationReport.Standby]
    ) {
        self.synchronousCommit = synchronousCommit
        self.synchronousStandbyNames = synchronousStandbyNames
        self.fsync = fsync
        self.idleSlots = idleSlots
        self.standbys = standbys
    }

    package var report: ReplicationReport {
        let (answer, reason) = judgement
        return ReplicationReport(canLose: answer, reason: reason, standbys: standbys)
    }

    private var judgement: (ReplicationReport.Answer, String) {
        guard fsync == "on" else {
            return (.yes, "PostgreSQL runs with fsync = off: a power cut loses what was committed.")
        }
        guard synchronousCommit != "off" else {
            return (.yes, "synchronous_commit = off: a crash of the database loses the last commits.")
        }
        guard !synchronousStandbyNames.isEmpty else { return withoutSynchronousStandby }
        guard ["on", "remote_apply"].contains(synchronousCommit) else {
            return (
                .yes,
                "synchronous_commit = \(synchronousCommit): an answer does not wait until a standby has it on disk."
            )
        }
        if standbys.contains(where: { ["sync", "quorum"].contains($0.syncState) }) {
            return (.no, "Every answer waits for a synchronous standby.")
        }
        if standbys.contains(where: \.syncState.isEmpty) {
            return (.unknown, "This database role may not see the standbys: GRANT pg_monitor to it.")
        }
        return (.no, "Answers wait until a synchronous standby is back; none is connected.")
    }

    private var withoutSynchronousStandby: (ReplicationReport.Answer, String) {
        if !standbys.isEmpty {
            return (
                .yes,
                "Replication is asynchronous: what a standby has not yet got is lost when it takes over (set synchronous_standby_names)."
            )
        }
        if idleSlots > 0 {
            return (
                .yes,
                "A standby is not connected and replication is not synchronous: what it misses is lost if it takes over."
            )
        }
        return (
            .unknown,
            "No standby is connected: a crash loses nothing, but the loss of the database's disk, or a standby that takes over without being known here, does."
        )
    }
}
