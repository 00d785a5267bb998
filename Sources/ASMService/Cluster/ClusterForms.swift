import Domain
import ServiceLink
import Store
import TransportSecurity

extension RequestRouter {
    /// All servers and the state of replication, as Admin Web shows them, for whose certificates the list is.
    ///
    /// On a link in plain text nobody has a certificate: there it is for every process that reaches it.
    func cluster(for peer: LinkPeer) async throws -> LinkCluster {
        guard peer.certificate?.roles.contains(.admin) != false else {
            throw Refusal(
                .forbidden,
                "The list of servers is for Admin Webs: issue this process a certificate with --role admin.")
        }
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
