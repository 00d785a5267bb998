/// Which servers a drill has really used before anything was taken down.
///
/// A server that was never used proves nothing by going: a drill that passes without it would lie.
package struct Coverage: Sendable, Hashable {
    package struct Web: Sendable, Hashable {
        package let address: String
        /// What the Web Services behind the address call themselves.
        package var names: Set<String> = []
        /// Messages that it took before the first failover.
        package var acknowledged = 0
    }

    package struct Server: Sendable, Hashable {
        package let address: String
        /// Messages that it took before the first failover.
        package var acknowledged = 0
    }

    package private(set) var webs: [Web]
    package private(set) var servers: [Server]

    /// - Parameter end: when the first interruption or takeover began; nil when there was none.
    package init(_ record: DrillRecord, before end: Duration?) {
        var webs = record.webs.map { Web(address: $0) }
        var counts = Dictionary(record.servers.map { ($0, 0) }, uniquingKeysWith: { first, _ in first })
        for message in record.messages {
            guard let answer = message.answer, let route = answer.route, end.map({ answer.at < $0 }) ?? true
            else { continue }
            webs[route.web].acknowledged += 1
            webs[route.web].names.insert(route.webName)
            counts[route.server, default: 0] += 1
        }
        self.webs = webs
        servers = counts.sorted { $0.key < $1.key }.map { Server(address: $0.key, acknowledged: $0.value) }
    }

    package var unusedWebs: [String] { webs.filter { $0.acknowledged == 0 }.map(\.address) }
    package var unusedServers: [String] { servers.filter { $0.acknowledged == 0 }.map(\.address) }
}
