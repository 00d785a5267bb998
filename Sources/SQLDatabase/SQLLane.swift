/// Which of a database's connections a statement goes over: what is in the way on one lane holds up no other.
///
/// PostgreSQL has connections of its own for each lane (`PostgresLimits`). SQLite has one writer and a few readers, which
/// is the same: what reads never waits for what writes, nor the other way round.
package enum SQLLane: Sendable, Hashable, CaseIterable {
    /// A server's sign of life and the proof of its slot: short statements, few of them, never behind others.
    case heartbeat
    /// Appends and other changes, and following the log: never cancelled, each bounded by what its batch holds.
    case log
    /// What clients ask to see: bounded in time, and refused beyond it.
    case reads
}
