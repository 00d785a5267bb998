import ArgumentParser
import Domain

/// When servers show that they live, and when it is told that one does not; for tests and trials.
struct ClusterOptions: ParsableArguments {
    private static let range = 0.1...86_400.0

    @Option(
        help: .init("How often a server shows it to the others.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterBeatSeconds = ClusterTimes().beatEvery

    @Option(
        help: .init("How often a server writes its Last Active time.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterLastActiveSeconds = ClusterTimes().lastActiveEvery

    @Option(
        help: .init("After how long a server is Server Inactive.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterInactiveSeconds = ClusterTimes().inactiveAfter

    @Option(
        help: .init("How often servers look for inactive ones.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterSightingSeconds = ClusterTimes().sightingEvery

    @Option(
        help: .init("After how long a server is Server Unreachable.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterUnreachableSeconds = ClusterTimes().unreachableAfter

    @Option(
        help: .init("How long a server is back before its outage is over.", visibility: .hidden),
        transform: seconds(ClusterOptions.range))
    var clusterStableSeconds = ClusterTimes().stableFor

    var times: ClusterTimes {
        var times = ClusterTimes()
        times.beatEvery = clusterBeatSeconds
        times.lastActiveEvery = clusterLastActiveSeconds
        times.inactiveAfter = clusterInactiveSeconds
        times.sightingEvery = clusterSightingSeconds
        times.unreachableAfter = clusterUnreachableSeconds
        times.stableFor = clusterStableSeconds
        return times
    }

    func validate() throws {
        guard times.inactiveAfter > times.freshWithin else {
            throw ValidationError(
                "--cluster-inactive-seconds must be more than one and a half times --cluster-last-active-seconds: a server that lives must not seem inactive."
            )
        }
        guard times.unreachableAfter >= times.beatEvery * 3 else {
            throw ValidationError(
                "--cluster-unreachable-seconds must be at least three times --cluster-beat-seconds.")
        }
    }
}
