/// How often servers show that they live, and after how long without it what is said of them.
///
/// Local clocks measure all of these; whether *Last Active* is old, the database's clock says.
package struct ClusterTimes: Sendable, Hashable {
    /// How often a server proves that it is current.
    package var beatEvery = Duration.seconds(1)
    /// How often a server writes its Last Active time.
    package var lastActiveEvery = Duration.seconds(60)
    /// *Server Inactive*: Last Active is older than this …
    package var inactiveAfter = Duration.seconds(600)
    /// … and an observer has seen the same beat so often, each time so long after the last.
    package var sightings = 3
    package var sightingEvery = Duration.seconds(60)
    /// *Server Unreachable*: an observer that is itself in touch has seen no beat for so long.
    package var unreachableAfter = Duration.seconds(15)
    /// An outage is over when the server has beaten without a gap for so long.
    package var stableFor = Duration.seconds(120)

    package init() {}

    /// An observer whose own Last Active is older than this cannot say that another one's is.
    package var freshWithin: Duration { lastActiveEvery * 1.5 }

    /// How often an observer looks at the others: thrice within the shortest time that matters.
    package var lookEvery: Duration { min(unreachableAfter / 3, sightingEvery) }

    /// Beats further apart than this are a gap: the server stood still, or had no database.
    package var gapAfter: Duration { beatEvery * 5 }
}

extension Duration {
    /// In whole microseconds, as times are stored.
    package var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
