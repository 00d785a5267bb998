package import Domain

extension WebAPI {
    /// Logs in: makes a session bound to a device.
    package func logIn(
        customer: String?, login: String, password: Sealed<String>, deviceName: String
    ) async throws -> LogIn {
        let body = WebBody.object { body in
            body.string("login", login)
            body.string("password", password.open)
            if let customer { body.string("customer", customer) }
            body.raw("device") { bytes in
                bytes += WebBody.object { $0.string("name", deviceName) }
            }
        }
        let answer = try await call("POST", "/v1/sessions", body: body)
        return try WebAnswer.read(answer, WebAnswer.logIn)
    }

    package func logOut(token: Sealed<String>) async throws {
        _ = try await call("DELETE", "/v1/sessions/current", token: token)
    }

    /// Finds users of the own customer by their exact log-in names.
    package func users(logins: [String], token: Sealed<String>) async throws -> [Person] {
        let names = logins.map(WebBody.escaped).joined(separator: ",")
        let answer = try await call("GET", "/v1/users?limit=200&logins=\(names)", token: token)
        return try WebAnswer.read(answer, WebAnswer.people)
    }

    package func users(search: String, limit: Int, token: Sealed<String>) async throws -> [Person] {
        let path = "/v1/users?limit=\(limit)&search=\(WebBody.escaped(search))"
        return try WebAnswer.read(try await call("GET", path, token: token), WebAnswer.people)
    }

    /// Makes a thread; asking again with the same `id` gives the same thread.
    package func createThread(
        id: ClientID, participants: [User.ID], subject: String?, token: Sealed<String>
    ) async throws -> MessageThread.ID {
        let body = WebBody.object { body in
            body.raw("clientId") { JSONWriter.token(id, into: &$0) }
            body.raw("participants") { JSONWriter.identifiers(participants, into: &$0) }
            if let subject { body.string("subject", subject) }
        }
        let answer = try await call("POST", "/v1/threads", token: token, body: body)
        return try WebAnswer.read(answer, WebAnswer.createdThread)
    }

    /// The Web Service that answers, and the ASM Services that it knows.
    package func status(token: Sealed<String>) async throws -> DeploymentStatus {
        try WebAnswer.read(try await call("GET", "/v1/status", token: token), WebAnswer.status)
    }

    /// Leaves a thread.
    package func leave(id: ClientID, thread: MessageThread.ID, token: Sealed<String>) async throws {
        let body = WebBody.object { $0.raw("clientId") { JSONWriter.token(id, into: &$0) } }
        _ = try await call("POST", "/v1/threads/\(thread)/leave", token: token, body: body)
    }

    /// A page of the inbox, newest first: threads whose last position is before `position`.
    package func inbox(
        before position: LogPosition?, limit: Int, token: Sealed<String>
    ) async throws -> WebAnswer.Inbox {
        let before = position.map { "&before=\($0)" } ?? ""
        let answer = try await call("GET", "/v1/threads?limit=\(limit)\(before)", token: token)
        return try WebAnswer.read(answer, WebAnswer.inbox)
    }

    /// A thread with all its participants.
    package func thread(_ thread: MessageThread.ID, token: Sealed<String>) async throws -> ThreadSummary {
        try WebAnswer.read(try await call("GET", "/v1/threads/\(thread)", token: token), WebAnswer.thread)
    }

    /// Entries of a thread in ascending order: the first after, or the last before a number, or the newest.
    package func history(
        of thread: MessageThread.ID, _ range: HistoryRange, limit: Int, token: Sealed<String>
    ) async throws -> WebAnswer.History {
        let path = "/v1/threads/\(thread)/entries?limit=\(limit)\(range.query)"
        return try WebAnswer.read(try await call("GET", path, token: token), WebAnswer.history)
    }

    /// Takes back a message of one's own.
    package func recall(
        id: ClientID, thread: MessageThread.ID, number: EntryNumber, token: Sealed<String>
    ) async throws -> StoredReceipt {
        let body = WebBody.object { $0.raw("clientId") { JSONWriter.token(id, into: &$0) } }
        let path = "/v1/threads/\(thread)/messages/\(number)/recall"
        return try WebAnswer.read(try await call("POST", path, token: token, body: body), WebAnswer.stored)
    }
}

/// Which part of a thread's history is asked for.
package enum HistoryRange: Sendable {
    case newest
    case before(EntryNumber)
    case after(EntryNumber)

    fileprivate var query: String {
        switch self {
        case .newest: ""
        case .before(let number): "&before=\(number)"
        case .after(let number): "&after=\(number)"
        }
    }
}

/// Writes the bodies of requests.
struct WebBody {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    static func object(_ fill: (inout WebBody) -> Void) -> [UInt8] {
        var body = WebBody()
        fill(&body)
        return body.bytes + [UInt8(ascii: "}")]
    }

    mutating func string(_ key: String, _ value: String) {
        raw(key) { JSONWriter.string(value, into: &$0) }
    }

    mutating func raw(_ key: String, _ write: (inout [UInt8]) -> Void) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        JSONWriter.string(key, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        write(&bytes)
    }

    /// The text as a part of a query, percent-encoded.
    static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                byte < 0x80 && (scalar.properties.isAlphabetic || "0123456789-._~".utf8.contains(byte))
            if isPlain {
                result.unicodeScalars.append(scalar)
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
