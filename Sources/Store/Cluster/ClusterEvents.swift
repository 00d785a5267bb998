import Domain
import SQLDatabase

extension SQLSession {
    /// *Server Unlicensed*: a server runs in Degraded Mode, because no slot is free.
    func raiseUnlicensed(_ server: Int64, address: String, key: String) throws {
        try raise(
            .serverUnlicensed,
            "ASM Service \(address) has no High Availability license and runs in Degraded Mode.",
            """
            It does not process requests from the apps; other servers do. It begins to serve by itself when a license \
            becomes free: stop a server that is not needed (`asm servers` lists them), release the slot of one that is \
            gone (`asm servers release SERVER`), or install a license for more servers (`asm license install FILE`).
            """, server: server, key: key)
    }

    /// *Server Inactive*: a server's Last Active is too old.
    func raiseInactive(_ server: ServerRecord, incident: Int64, _ times: ClusterTimes) throws {
        let stopped = server.stoppedAt.map { " It was stopped in order at \(CalendarTime($0).text)." } ?? ""
        try raise(
            .serverInactive,
            "ASM Service \(server.address) is inactive: it was last active at \(CalendarTime(server.lastActive).text).",
            """
            Last Active is more than \(times.inactiveAfter.text) old.\(stopped) Other servers serve. Look at that \
            machine, its network and its log, and start the server again; if it will not come back, run \
            `asm servers remove \(server.address)`. Nothing more is sent about this outage.
            """, server: server.id, key: "\(incident)")
    }

    /// *Server Unreachable*: a server has not been heard of for some seconds.
    func raiseUnreachable(_ server: ServerRecord, incident: Int64, _ times: ClusterTimes) throws {
        try raise(
            .serverUnreachable,
            "ASM Service \(server.address) cannot be reached: no sign of it for \(times.unreachableAfter.text).",
            "Other servers serve. If it stays away, Server Inactive follows.", server: server.id,
            key: "\(incident)")
    }

    private func raise(
        _ event: SystemEvent, _ summary: String, _ details: String, server: Int64, key: String
    ) throws {
        try raise(EventReport(event: event, summary: summary, details: details, server: server, key: key))
    }
}

extension Duration {
    /// For people: `10 minutes`, `15 seconds`.
    fileprivate var text: String {
        let seconds = components.seconds
        let (count, unit) = seconds % 60 == 0 && seconds > 0 ? (seconds / 60, "minute") : (seconds, "second")
        return "\(count) \(unit)\(count == 1 ? "" : "s")"
    }
}
