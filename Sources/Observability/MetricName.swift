/// The name of a metric and what it says; all names are constants here, so that dashboards can rely on them.
package struct MetricName: Hashable, Sendable {
    package let name: String
    package let help: String

    private init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
    }

    // Service link, calling end
    package static let linkRequests = Self("asm_link_requests_total", "Requests sent to ASM Services.")
    package static let linkRetries = Self("asm_link_retries_total", "Requests sent again to an ASM Service.")
    package static let linkFailovers = Self("asm_link_failovers_total", "Times an ASM Service was left.")
    package static let linkReattached = Self(
        "asm_link_sessions_reattached_total", "Live sessions attached again at another ASM Service.")
    package static let linkConnections = Self("asm_link_connections", "Open connections to ASM Services.")
    package static let linkSessions = Self("asm_link_sessions", "Open live sessions.")
    package static let linkWaiting = Self(
        "asm_link_sessions_waiting", "Live sessions waiting for an ASM Service.")

    // Service link, listening end
    package static let linkServerConnections = Self(
        "asm_link_server_connections", "Connections of web processes.")
    package static let linkServerRequests = Self("asm_link_server_requests_total", "Requests received.")

    // ASM Service
    package static let appendedEntries = Self("asm_log_appended_entries_total", "Entries appended to logs.")
    package static let appendBatch = Self("asm_log_append_batch_entries", "Entries per append.")
    package static let appendSeconds = Self("asm_log_append_seconds", "Time of one append, commit included.")
    package static let appendQueue = Self("asm_log_append_queue", "Entries waiting to be appended.")
    package static let followedEntries = Self("asm_log_followed_entries_total", "Entries read by followers.")
    package static let followers = Self("asm_log_followers", "Logs that this server follows.")
    package static let deliveredEntries = Self(
        "asm_deliveries_total", "Entries delivered, counted per session.")
    package static let attachedSessions = Self(
        "asm_sessions_attached", "Live sessions attached to this server.")
    package static let logIns = Self("asm_log_ins_total", "Attempts to log in.")

    package static let heartbeatFailures = Self(
        "asm_heartbeat_failures_total", "Signs of life that the database did not take.")

    // The cluster, as an ASM Service sees it
    package static let serverDegraded = Self(
        "asm_server_degraded", "1 while this server runs in Degraded Mode and serves no app, else 0.")
    package static let slotsHeld = Self(
        "asm_license_slots_held", "High Availability license slots that servers hold.")
    package static let slotLimit = Self(
        "asm_license_slots_limit", "High Availability license slots there are; +Inf without a limit.")
    package static let openIncidents = Self("asm_incidents_open", "Servers with an open incident, by kind.")
    package static let outboxMails = Self(
        "asm_mail_outbox_mails", "E-mails of events still to go out (waiting) or given up (dead).")
    package static let lastActiveAge = Self(
        "asm_server_last_active_age_seconds",
        "Time since each server's Last Active, by the database's clock; none for one that stopped in order.")
    package static let clusterReadAt = Self(
        "asm_cluster_read_timestamp_seconds",
        "Unix time at which this server read the figures of the cluster; they are as old as that.")

    // Web Service
    package static let liveClients = Self("asm_web_live_clients", "Open live connections of clients.")
    package static let liveFramesIn = Self(
        "asm_web_live_frames_received_total", "Frames received from live clients.")
    package static let liveFramesOut = Self("asm_web_live_frames_sent_total", "Frames sent to live clients.")
    package static let slowReaders = Self(
        "asm_web_slow_readers_total", "Live clients closed for reading too slowly.")
    package static let backlogBytes = Self(
        "asm_web_live_backlog_bytes", "Memory held by what live clients have not read yet.")
    package static let httpRequests = Self("asm_web_http_requests_total", "HTTP requests answered.")
    package static let httpSeconds = Self("asm_web_http_request_seconds", "Time to answer an HTTP request.")
}
