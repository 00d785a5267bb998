/// What an interruption has in common: the servers that just those paths went through which it hit.
///
/// Seen from outside, so it is a suspicion: "everything that went through this server, and nothing else, stood still".
package struct Cause: Sendable, Hashable {
    /// Web Services and ASM Services that the paths went through which were hit.
    package let webs: [String]
    package let servers: [String]
    /// A sentence.
    package let text: String

    package init(_ interruption: Interruption, _ record: DrillRecord) {
        let routes = Self.routes(of: record, before: interruption.began)
        let hit = Set(interruption.gaps.keys)
        let hitRoutes = hit.compactMap { routes[$0] }
        let webs = Set(hitRoutes.map { record.webs[$0.web] }).sorted()
        let servers = Set(hitRoutes.map(\.server)).sorted()
        (self.webs, self.servers) = (webs, servers)
        if hit.count == record.paths.count, (webs.count > 1) == (servers.count > 1) {
            text = "everything stood still: all servers of a kind, the database, or the way to them"
            return
        }
        let isOnlyHere = { (isSuspect: (DrillRecord.Route) -> Bool) -> Bool in
            let suspects = Set(routes.filter { isSuspect($0.value) }.keys)
            return !suspects.isEmpty && hit.isSubset(of: suspects)
        }
        let isServer = servers.count == 1 && isOnlyHere { $0.server == servers[0] }
        let isWeb = webs.count == 1 && isOnlyHere { record.webs[$0.web] == webs[0] }
        if isServer, !(isWeb && hit.isSubset(of: Self.connectedAnew(in: interruption, record))) {
            text = "everything that stood still went through ASM Service \(servers[0])"
        } else if isWeb {
            text = "everything that stood still went through Web Service \(webs[0])"
        } else {
            text = "\(hit.count) of \(record.paths.count) paths stood still, through different servers"
        }
    }

    /// The paths that had to connect anew meanwhile: a lost Web Service costs people their connection, a lost ASM
    /// Service does not.
    private static func connectedAnew(in interruption: Interruption, _ record: DrillRecord) -> Set<Int> {
        let window = interruption.began...(interruption.ended ?? record.length)
        return Set(record.reconnects.filter { window.contains($0.at) }.map(\.path))
    }

    /// The last route of each path that it had before a time.
    private static func routes(
        of record: DrillRecord, before time: Duration
    ) -> [Int: DrillRecord.Route] {
        var routes: [Int: DrillRecord.Route] = [:]
        for change in record.routes where change.at <= time { routes[change.path] = change.what }
        return routes
    }
}
