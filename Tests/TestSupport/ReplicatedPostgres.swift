/// Two PostgreSQL servers, the second a streaming standby of the first, both on loopback ports.
///
/// Without a cluster manager on purpose: the test itself decides when the standby is cut off, and when it takes over.
package final class ReplicatedPostgres: Sendable {
    package struct NotInTime: Error, CustomStringConvertible {
        package let description: String
    }

    package let primary: PostgresServer
    package let standby: PostgresServer

    private static let waitSeconds = 30
    private static let connectionToPrimary = "primary_conninfo"

    /// - Parameter synchronous: whether a commit waits until the standby has it on its disk.
    package init(synchronous: Bool) throws {
        primary = try PostgresServer()
        standby = try PostgresServer(standbyOf: primary)
        try untilAttached()
        guard synchronous else { return }
        try primary.set("synchronous_standby_names", to: "standby")
        try until("pg_stat_replication should tell of a synchronous standby", on: primary) {
            "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        }
    }

    deinit { stop() }

    package func stop() {
        primary.stop()
        standby.stop()
    }

    /// A new, empty database, by the addresses of both servers: whichever takes writes is found.
    package func createDatabase() async throws -> String {
        let name = try await primary.createDatabase().split(separator: "/").last ?? ""
        return "postgresql://postgres@127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)/\(name)"
    }

    /// Cuts the standby off: nothing that is committed from here on reaches it.
    package func cut() throws {
        try connect("''")
        try until("the standby should be gone", on: primary) {
            "SELECT count(*) = 0 FROM pg_stat_replication"
        }
    }

    /// Lets the standby follow again.
    package func heal() throws {
        try connect("'host=127.0.0.1 port=\(primary.port) user=postgres application_name=standby'")
        try untilAttached()
    }

    /// Lets the standby receive everything and show nothing of it, or show it again.
    package func pauseReplay() throws { try standby.execute("SELECT pg_wal_replay_pause()") }
    package func resumeReplay() throws { try standby.execute("SELECT pg_wal_replay_resume()") }

    /// Kills the primary as a power cut would, and makes the standby the primary.
    package func failOver() throws {
        try primary.kill()
        try standby.execute("SELECT pg_promote(true, \(Self.waitSeconds))")
    }

    /// Cancels statements that wait for the standby, as an administrator might.
    /// - Returns: how many there were.
    package func cancelWaits(of words: String) throws -> Int {
        let answer = try primary.execute(
            """
            SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
            WHERE wait_event = 'SyncRep' AND query LIKE '%\(words)%'
            """)
        return Int(answer.split(separator: "\n").first ?? "") ?? 0
    }

    /// Whether a commit also waits until the standby shows it.
    package func waitForReplay(_ waits: Bool) throws {
        try primary.execute("ALTER SYSTEM SET synchronous_commit = \(waits ? "remote_apply" : "on")")
        try primary.execute("SELECT pg_reload_conf()")
    }

    private func connect(_ to: String) throws {
        try standby.execute("ALTER SYSTEM SET \(Self.connectionToPrimary) = \(to)")
        try standby.execute("SELECT pg_reload_conf()")
    }

    private func untilAttached() throws {
        try until("the standby should follow", on: primary) {
            "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'"
        }
    }

    private func until(_ what: String, on server: PostgresServer, _ sql: () -> String) throws {
        let end = ContinuousClock.now + .seconds(Self.waitSeconds)
        repeat {
            if try server.execute(sql()).hasPrefix("t") { return }
        } while ContinuousClock.now < end
        throw NotInTime(description: "\(what), but it did not within \(Self.waitSeconds) s")
    }
}
