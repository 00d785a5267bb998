package import Domain

/// What one server has seen of the others' beats, and whose silence is due to be told.
///
/// It looks at counters, not at clocks of others: a beat that stands still while this server is itself in touch. Whoever
/// did not look for a while (it stood still, or the database was away) begins anew.
package struct BeatWatch {
    private struct Sight {
        let boot: Token128
        let beat: Int64
        let since: ContinuousClock.Instant
        var sightings = 1
        var sightedAt: ContinuousClock.Instant
    }

    private let times: ClusterTimes
    private var sights: [Int64: Sight] = [:]
    private var lookedAt: ContinuousClock.Instant?

    package init(times: ClusterTimes) { self.times = times }

    /// Looks that failed or did not happen for so long void what was seen before.
    private var blindAfter: Duration { times.lookEvery * 3 }

    /// Notes what the database says now.
    /// - Returns: which incidents are due, as far as this server can tell.
    package mutating func look(
        at servers: [ServerRecord], own: Int64, now: ContinuousClock.Instant
    ) -> [(kind: IncidentKind, server: ServerRecord)] {
        if let lookedAt, now - lookedAt > blindAfter { sights = [:] }
        lookedAt = now
        let known = sights
        sights = [:]
        return servers.filter { $0.id != own }.flatMap { server in
            var sight = Sight(boot: server.boot, beat: server.beat, since: now, sightedAt: now)
            if let old = known[server.id], old.boot == server.boot, old.beat == server.beat {
                sight = old
                if now - old.sightedAt >= times.sightingEvery {
                    sight.sightings += 1
                    sight.sightedAt = now
                }
            }
            sights[server.id] = sight
            return due(sight, server, now).map { ($0, server) }
        }
    }

    private func due(_ sight: Sight, _ server: ServerRecord, _ now: ContinuousClock.Instant) -> [IncidentKind]
    {
        var due: [IncidentKind] = []
        // Who stopped in order is not missed; if it stays away for long, somebody forgot it.
        if server.stoppedAt == nil, now - sight.since >= times.unreachableAfter { due.append(.unreachable) }
        if sight.sightings >= times.sightings,
            // A time that lies ahead was written before the database's clock was set back.
            server.inactiveMicroseconds.magnitude > UInt64(times.inactiveAfter.microseconds)
        {
            due.append(.inactive)
        }
        return due.filter { !server.incidents.contains($0) }
    }
}
