import ArgumentParser
import Domain
import Foundation
import Store

struct ServersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "servers",
        abstract: "ASM Services: which there are, whether they serve, and whether a message can be lost.",
        subcommands: [List.self, Remove.self, Release.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all servers, and say what replication protects.",
            discussion: """
                States: active; degraded (runs, but serves no app: the reason stands beside it); draining; starting; \
                stopped (in order); unreachable (not heard of for some seconds); inactive (Last Active more than 10 \
                minutes old).
                Example: asm servers --database postgresql://asm@db1,db2/asm
                """)

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var cluster: ClusterOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let times = cluster.times
            let (servers, replication) = try await withStore(common, database) {
                (try await $0.servers(), try await $0.replication())
            }
            if json {
                return try printJSON(
                    ClusterForm(
                        servers: servers.map { ServerForm($0, times) }, replication: .init(replication)))
            }
            for line in Self.table(servers, times) { try Terminal.out(line) }
            try Terminal.out("")
            try Terminal.out(replication.statement)
            for standby in replication.standbys { try Terminal.out("  " + standby.line) }
        }

        static func table(_ servers: [ServerRecord], _ times: ClusterTimes) -> [String] {
            guard !servers.isEmpty else { return ["No server has been started on this database yet."] }
            let header = ["SERVER", "STATE", "LAST ACTIVE", "SLOT", "VERSION", "STARTED", "BOOT"]
            let rows =
                [header]
                + servers.map { server in
                    [
                        server.address, server.state(times), CalendarTime(server.lastActive).text,
                        server.slot.map { "\($0)" } ?? "-", server.version,
                        CalendarTime(server.startedAt).text, "\(server.boot)".prefix(8).description,
                    ].map { escapingControls($0) }
                }
            let widths = header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
            return rows.enumerated().flatMap { index, row in
                let line = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                    .joined(separator: "  ")
                let reason = index > 0 ? servers[index - 1].reason : ""
                return reason.isEmpty ? [line] : [line, "  " + reason]
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Forget a server that will not come back; its slot is free, and nobody is told of it any more.",
            discussion: "Example: asm servers remove 10.0.0.12:7400 --database postgresql://asm@db1,db2/asm")

        @Argument(help: ArgumentHelp("The server, as `asm servers` lists it.", valueName: "host:port"))
        var server: String

        @OptionGroup var cluster: ClusterOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let times = cluster.times
            try await withStore(common, database) { try await $0.removeServer(server, times: times) }
            try Terminal.out(
                "Server '\(server)' has been removed. Take it out of the Server lists of the web tier too.")
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Take a server's High Availability license slot, so that another one can serve under it.",
            discussion: """
                For a server that is gone; after 10 minutes it happens by itself. A server that lives claims a free slot \
                again within a second, so give --running only while another one waits for it.
                Example: asm servers release 10.0.0.12:7400 --database postgresql://asm@db1,db2/asm
                """)

        @Argument(help: ArgumentHelp("The server, as `asm servers` lists it.", valueName: "host:port"))
        var server: String

        @Flag(help: "Also from a server that was heard of a moment ago: it serves nothing from here on.")
        var running = false

        @OptionGroup var cluster: ClusterOptions
        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let times = cluster.times
            let slot = try await withStore(common, database) {
                try await $0.releaseSlot(of: server, evenRunning: running, times: times)
            }
            try Terminal.out(
                "Slot \(slot) of '\(server)' is free: a server that waits for one serves within a second.")
        }
    }
}

/// What `asm servers --json` prints.
private struct ClusterForm: Encodable {
    let servers: [ServerForm]
    let replication: ReplicationForm
}

private struct ServerForm: Encodable {
    let server: String
    let id: String
    let state: String
    let reason: String
    let lastActive: String
    let startedAt: String
    let stoppedAt: String?
    let silentMilliseconds: Int64
    let slot: Int64?
    let version: String
    let boot: String
    let drainRequested: Bool
    let incidents: [String]

    init(_ server: ServerRecord, _ times: ClusterTimes) {
        self.server = server.address
        id = "\(server.id)"
        state = server.state(times)
        reason = server.reason
        lastActive = CalendarTime(server.lastActive).iso8601
        startedAt = CalendarTime(server.startedAt).iso8601
        stoppedAt = server.stoppedAt.map { CalendarTime($0).iso8601 }
        silentMilliseconds = server.silentMicroseconds / 1_000
        slot = server.slot
        version = server.version
        boot = "\(server.boot)"
        drainRequested = server.isDrainRequested
        incidents = server.incidents.map(\.rawValue).sorted()
    }
}

private struct ReplicationForm: Encodable {
    struct Standby: Encodable {
        let name: String
        let syncState: String
        let state: String
        let lagBytes: Int64?
        let lagMilliseconds: Int64?
    }

    let acknowledgedMessageCanBeLost: String
    let reason: String
    let standbys: [Standby]

    init(_ report: ReplicationReport) {
        acknowledgedMessageCanBeLost = report.canLose.rawValue
        reason = report.reason
        standbys = report.standbys.map {
            Standby(
                name: $0.name, syncState: $0.syncState, state: $0.state, lagBytes: $0.lagBytes,
                lagMilliseconds: $0.lagMicroseconds.map { $0 / 1_000 })
        }
    }
}

extension ReplicationReport.Standby {
    fileprivate var line: String {
        let lag = lagBytes.map { "\($0) bytes behind" } ?? "lag not known"
        let sync = syncState.isEmpty ? "kind not known" : syncState
        return "standby \(name): \(sync), \(state.isEmpty ? "state not known" : state), \(lag)"
    }
}
