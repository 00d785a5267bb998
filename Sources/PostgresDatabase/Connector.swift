import CPq
import Glibc
import SQLDatabase

/// One libpq connection, handed from the thread that opened it to the one that uses it.
///
/// @unchecked: used by one thread at a time; whoever receives it is its only user.
final class RawConnection: @unchecked Sendable {
    let handle: OpaquePointer
    /// Whether the server told that a commit stopped waiting for its standby.
    private let notices: UnsafeMutablePointer<Bool>

    private init(_ handle: OpaquePointer) {
        self.handle = handle
        notices = .allocate(capacity: 1)
        notices.initialize(to: false)
        PQsetNoticeReceiver(handle, receiveNotice, notices)
    }

    deinit {
        PQfinish(handle)
        notices.deallocate()
    }

    var socket: Int32 { PQsocket(handle) }

    var errorText: String { firstLine(of: PQerrorMessage(handle)) }

    /// Whether such a notice came since the last look.
    func takeReplicationWarning() -> Bool {
        defer { notices.pointee = false }
        return notices.pointee
    }

    /// Connects and waits for it; call only on a thread that may block.
    static func open(_ string: ConnectionString) throws -> RawConnection {
        var keywords: [UnsafePointer<CChar>?] = []
        var values: [UnsafePointer<CChar>?] = []
        for (keyword, value) in string.settings {
            keywords.append(UnsafePointer(strdup(keyword)))
            values.append(UnsafePointer(strdup(value)))
        }
        defer {
            for text in keywords + values { free(UnsafeMutablePointer(mutating: text)) }
        }
        guard let handle = PQconnectdbParams(keywords + [nil], values + [nil], 0) else {
            throw SQLError.unavailable("out of memory for a connection")
        }
        let connection = RawConnection(handle)
        guard PQstatus(handle) == CONNECTION_OK else {
            throw connectionError(connection.fullErrorText, address: string.address)
        }
        return connection
    }

    private var fullErrorText: String { PQerrorMessage(handle).map { String(cString: $0) } ?? "" }
}

/// libpq calls this for every notice, on the thread that is reading from the connection.
private func receiveNotice(_ mark: UnsafeMutableRawPointer?, _ notice: OpaquePointer?) {
    // The function's name is never translated; the text may be.
    let source = PQresultErrorField(notice, DiagnosticField.function).map { String(cString: $0) } ?? ""
    let text = PQresultErrorMessage(notice).map { String(cString: $0) } ?? ""
    let canceled = text.contains("cancel") && text.contains("synchronous replication")
    if source == "SyncRepWaitForLSN" || canceled {
        mark?.assumingMemoryBound(to: Bool.self).pointee = true
    }
}

private func firstLine(of text: UnsafePointer<CChar>?) -> String {
    guard let text else { return "no reason given" }
    return String(String(cString: text).prefix { $0 != "\n" })
}

/// What a failed attempt to connect means, with what to do. libpq gives a text only, one line per host.
private func connectionError(_ text: String, address: String) -> SQLError {
    let reason = text.split(separator: "\n").joined(separator: "; ")
    if reason.contains("session is read-only") || reason.contains("hot standby mode") {
        return .readOnly(
            "only a read-only server was found at \(address): name the primary, or all servers of the cluster"
        )
    }
    if reason.contains("password authentication failed") || reason.contains("no password supplied") {
        return .misconfigured("PostgreSQL at \(address) refused the user or password: \(reason)")
    }
    if reason.contains("database \"") && reason.contains("does not exist") {
        return .misconfigured("PostgreSQL at \(address) has no such database: create it first; \(reason)")
    }
    if reason.contains("role \"") && reason.contains("does not exist") {
        return .misconfigured("PostgreSQL at \(address) has no such user: create it first; \(reason)")
    }
    if reason.contains("no pg_hba.conf entry") {
        return .misconfigured("PostgreSQL at \(address) does not let this machine in: \(reason)")
    }
    return .unavailable("PostgreSQL at \(address) cannot be reached: \(reason)")
}
