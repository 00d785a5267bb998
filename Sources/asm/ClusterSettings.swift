import ArgumentParser
import Configuration
import Domain

extension Settings {
    /// When servers show that they live, and when it is told that one does not; for tests and trials.
    ///
    /// - `cluster.beatSeconds` (default 1), `cluster.lastActiveSeconds` (60): how often a server shows it.
    /// - `cluster.inactiveSeconds` (600), `cluster.sightingSeconds` (60): *Server Inactive*.
    /// - `cluster.unreachableSeconds` (15): *Server Unreachable*.
    /// - `cluster.stableSeconds` (120): how long a server is back before its outage is over.
    func clusterTimes() throws -> ClusterTimes {
        var times = ClusterTimes()
        times.beatEvery = try seconds("cluster.beatSeconds", default: times.beatEvery)
        times.lastActiveEvery = try seconds("cluster.lastActiveSeconds", default: times.lastActiveEvery)
        times.inactiveAfter = try seconds("cluster.inactiveSeconds", default: times.inactiveAfter)
        times.sightingEvery = try seconds("cluster.sightingSeconds", default: times.sightingEvery)
        times.unreachableAfter = try seconds("cluster.unreachableSeconds", default: times.unreachableAfter)
        times.stableFor = try seconds("cluster.stableSeconds", default: times.stableFor)
        guard times.inactiveAfter > times.freshWithin else {
            throw ValidationError(
                "cluster.inactiveSeconds must be more than one and a half times cluster.lastActiveSeconds: a server that lives must not seem inactive."
            )
        }
        guard times.unreachableAfter >= times.beatEvery * 3 else {
            throw ValidationError(
                "cluster.unreachableSeconds must be at least three times cluster.beatSeconds.")
        }
        return times
    }

    private func seconds(_ key: String, default value: Duration) throws -> Duration {
        let name = ConfigKey(key)
        let number =
            string(key).map { Double($0) ?? -1 } ?? reader.double(forKey: name)
            ?? reader.int(forKey: name).map(Double.init)
        guard let number else { return value }
        guard (0.1...86_400).contains(number) else {
            throw ValidationError("\(key) must be a number of seconds from 0.1 to 86400.")
        }
        return .milliseconds(Int64(number * 1_000))
    }
}
