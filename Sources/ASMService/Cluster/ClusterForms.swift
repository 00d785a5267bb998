import Domain
import ServiceLink
import Store

extension RequestRouter {
    /// All servers and the state of replication, as Admin Web shows them.
    func cluster() async throws -> LinkCluster {
        let servers = try await store.servers()
        let replication = try await store.replication()
        var cluster = LinkCluster()
        cluster.servers = servers.map { LinkClusterServer($0, times) }
        cluster.replication = LinkReplication(replication)
        return cluster
    }
}

extension LinkClusterServer {
    fileprivate init(_ server: ServerRecord, _ times: ClusterTimes) {
        self.init()
        id = server.id
        address = server.address
        lastActive = server.lastActive.microseconds
        state = server.state(times)
        reason = server.reason
        slot = server.slot ?? 0
        version = server.version
        startedAt = server.startedAt.microseconds
        silentMilliseconds = server.silentMicroseconds / 1_000
        stoppedAt = server.stoppedAt?.microseconds ?? 0
        drainRequested = server.isDrainRequested
    }
}

extension LinkReplication {
    fileprivate init(_ report: ReplicationReport) {
        self.init()
        canLose = report.canLose.rawValue
        reason = report.reason
        standbys = report.standbys.map { standby in
            var form = Standby()
            form.name = standby.name
            form.syncState = standby.syncState
            form.state = standby.state
            form.lagBytes = standby.lagBytes ?? -1
            form.lagMilliseconds = standby.lagMicroseconds.map { $0 / 1_000 } ?? -1
            return form
        }
    }
}
