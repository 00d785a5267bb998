/// Sees to it that every ASM Service serves a session of every web address.
package enum Balance {
    /// The paths to connect anew: one for each ASM Service that a web address knows as healthy and no path of it uses,
    /// taken from the server that most use.
    package static func pathsToMove(
        _ routes: [DrillRecord.Route?], _ paths: [DrillRecord.Path], _ healthy: [Set<String>]
    ) -> [Int] {
        var moves: [Int] = []
        for (web, servers) in healthy.enumerated() {
            let own = paths.indices.filter { paths[$0].web == web && routes[$0]?.web == web }
            var users = Dictionary(grouping: own) { routes[$0]?.server ?? "" }
            for _ in servers.subtracting(users.keys) {
                guard let busiest = users.max(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) }),
                    busiest.value.count > 1
                else { break }
                moves.append(busiest.value[busiest.value.count - 1])
                users[busiest.key] = busiest.value.dropLast()
            }
        }
        return moves
    }
}
