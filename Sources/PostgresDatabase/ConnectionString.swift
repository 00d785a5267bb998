import CPq
import SQLDatabase

/// A checked connection URL with the settings this client relies on.
struct ConnectionString: Sendable {
    /// libpq's keywords and values, in the order given.
    private(set) var settings: [(keyword: String, value: String)]

    /// Set unless the URL says otherwise: follow the primary, and notice a dead network within seconds.
    private static let defaults = [
        ("target_session_attrs", "read-write"), ("connect_timeout", "2"), ("tcp_user_timeout", "5000"),
        ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "1"),
        ("keepalives_count", "3"),
        ("application_name", "asm"),
    ]

    /// Set on the server for each session. A server of ours that hangs must not hold others up, and a statement
    /// whose client has gone must end by itself.
    private static let sessionOptions = """
        -c idle_in_transaction_session_timeout=3s -c lock_timeout=3s -c client_connection_check_interval=2s
        """

    /// Of sessions that read for clients. What they ask is written so that an index answers it, whatever the statistics
    /// of a young table say; what takes too long all the same is ended by the server.
    private static func readOptions(statementTime: Duration) -> String {
        let milliseconds =
            statementTime.components.seconds * 1_000
            + statementTime.components.attoseconds / 1_000_000_000_000_000
        return """
            -c statement_timeout=\(max(milliseconds, 1))ms -c enable_seqscan=off -c enable_hashjoin=off \
            -c enable_mergejoin=off -c jit=off
            """
    }

    init(url: String) throws {
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") else {
            throw SQLError.misconfigured(
                "a PostgreSQL database is named postgresql://USER:PASSWORD@HOST:PORT/DATABASE (several hosts: H1:P1,H2:P2)"
            )
        }
        settings = try Self.parse(url)
        for (keyword, value) in Self.defaults where self[keyword] == nil {
            settings.append((keyword, value))
        }
        settings.removeAll { $0.keyword == "client_encoding" }
        settings.append(("client_encoding", "UTF8"))
        let options = self["options"].map { Self.sessionOptions + " " + $0 } ?? Self.sessionOptions
        settings.removeAll { $0.keyword == "options" }
        settings.append(("options", options))
    }

    /// The same for a lane: sessions of reads have a time and pinned plans.
    func of(_ lane: SQLLane, _ limits: PostgresLimits) -> ConnectionString {
        guard lane == .reads else { return self }
        var string = self
        let options = self["options"] ?? ""
        string.settings.removeAll { $0.keyword == "options" }
        string.settings.append(
            ("options", options + " " + Self.readOptions(statementTime: limits.readStatementTime)))
        return string
    }

    subscript(keyword: String) -> String? { settings.first { $0.keyword == keyword }?.value }

    /// Host and port as people write them, without user or password.
    var address: String {
        let hosts = (self["host"] ?? self["hostaddr"] ?? "localhost").split(
            separator: ",", omittingEmptySubsequences: false)
        let ports = (self["port"] ?? "5432").split(separator: ",", omittingEmptySubsequences: false)
        let pairs = hosts.enumerated().map { index, host in
            "\(host):\(index < ports.count ? ports[index] : ports.last ?? "5432")"
        }
        return pairs.joined(separator: ",")
    }

    static func parse(_ url: String) throws -> [(keyword: String, value: String)] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &message) else {
            let reason = message.map { String(cString: $0) } ?? "out of memory"
            PQfreemem(message)
            throw SQLError.misconfigured("the PostgreSQL URL cannot be read: \(withoutQuotedText(reason))")
        }
        defer { PQconninfoFree(options) }
        var settings: [(keyword: String, value: String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                settings.append((String(cString: keyword), String(cString: value)))
            }
            option += 1
        }
        return settings
    }
}

/// The message up to what it quotes: libpq and PostgreSQL quote input there, which may be secret.
func withoutQuotedText(_ message: String) -> String {
    let head = message.prefix { $0 != "\"" && $0 != "\n" }
    return head.hasSuffix(": ") ? String(head.dropLast(2)) : String(head)
}
