package import Domain

/// Reads the bodies of answers.
package enum WebAnswer {
    package struct Inbox: Sendable {
        package var cursor: LogCursor?
        package var threads: [ThreadSummary] = []
        package var next: LogPosition?
    }

    package struct History: Sendable {
        package var entries: [LogEntry] = []
        package var hasMore = false
    }

    typealias Reader<Value> = (inout JSONScanner) throws(JSONFault) -> Value

    /// Reads a whole document.
    static func read<Value>(_ bytes: [UInt8], _ reader: Reader<Value>) throws -> Value {
        let result: Result<Value, JSONFault> = bytes.withUnsafeBufferPointer { buffer in
            var scanner = JSONScanner(buffer)
            do throws(JSONFault) {
                let value = try reader(&scanner)
                try scanner.end()
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let fault):
            throw MessagingError(
                .internalError,
                "The server's answer could not be read: \(fault.problem) (byte \(fault.offset)).")
        }
    }

    static func refusal(_ scanner: inout JSONScanner) throws(JSONFault) -> Refusal {
        var code: String?
        var message = ""
        var retryAfter: Int?
        try scanner.object { (key, scanner) throws(JSONFault) in
            guard key == "error" else { return try scanner.skip() }
            try scanner.object { (key, scanner) throws(JSONFault) in
                switch key {
                case "code": code = try scanner.string()
                case "message": message = try scanner.string()
                case "retryAfterMs": retryAfter = Int(try scanner.integer())
                default: try scanner.skip()
                }
            }
        }
        guard let code else { throw scanner.fault("the error has no code") }
        return Refusal(wireCode: code, message: message, retryAfterMilliseconds: retryAfter)
    }

    static func logIn(_ scanner: inout JSONScanner) throws(JSONFault) -> LogIn {
        var token: String?
        var user: Person?
        var customer = ""
        var device = ""
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "token": token = try scanner.string()
            case "user": user = try person(&scanner)
            case "customer": customer = try member("name", &scanner)
            case "device": device = try member("id", &scanner)
            default: try scanner.skip()
            }
        }
        guard let token, let user else { throw scanner.fault("the log-in has no token or no user") }
        return LogIn(token: token, user: user, customerName: customer, deviceID: device)
    }

    static func people(_ scanner: inout JSONScanner) throws(JSONFault) -> [Person] {
        var people: [Person] = []
        try scanner.object { (key, scanner) throws(JSONFault) in
            guard key == "users" else { return try scanner.skip() }
            try scanner.array { (scanner) throws(JSONFault) in people.append(try person(&scanner)) }
        }
        return people
    }

    static func createdThread(_ scanner: inout JSONScanner) throws(JSONFault) -> MessageThread.ID {
        var thread: MessageThread.ID?
        try scanner.object { (key, scanner) throws(JSONFault) in
            guard key == "thread" else { return try scanner.skip() }
            thread = MessageThread.ID(try member("id", &scanner))
        }
        guard let thread else { throw scanner.fault("the thread has no id") }
        return thread
    }

    static func stored(_ scanner: inout JSONScanner) throws(JSONFault) -> StoredReceipt {
        var position: Int64 = 0
        var number: Int64 = 0
        var at: Int64 = 0
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "position": position = try scanner.integer()
            case "number": number = try scanner.integer()
            case "at": at = try scanner.integer()
            default: try scanner.skip()
            }
        }
        return StoredReceipt(position: position, number: number, atMilliseconds: at)
    }

    static func history(_ scanner: inout JSONScanner) throws(JSONFault) -> History {
        var history = History()
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "entries":
                try scanner.array { (scanner) throws(JSONFault) in
                    history.entries.append(try LogEntry.read(from: &scanner))
                }
            case "more": history.hasMore = try scanner.scalar() == .bool(true)
            default: try scanner.skip()
            }
        }
        return history
    }

    static func inbox(_ scanner: inout JSONScanner) throws(JSONFault) -> Inbox {
        var inbox = Inbox()
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "cursor": inbox.cursor = LogCursor(try scanner.string())
            case "next":
                if case .integer(let next) = try scanner.scalar() { inbox.next = next }
            case "threads":
                try scanner.array { (scanner) throws(JSONFault) in inbox.threads.append(try summary(&scanner))
                }
            default: try scanner.skip()
            }
        }
        return inbox
    }

    static func thread(_ scanner: inout JSONScanner) throws(JSONFault) -> ThreadSummary {
        var thread: ThreadSummary?
        try scanner.object { (key, scanner) throws(JSONFault) in
            if key == "thread" { thread = try summary(&scanner) } else { try scanner.skip() }
        }
        guard let thread else { throw scanner.fault("there is no thread") }
        return thread
    }

    private static func summary(_ scanner: inout JSONScanner) throws(JSONFault) -> ThreadSummary {
        var id: MessageThread.ID?
        var subject = ""
        var isClosed = false
        var numbers: [String: Int64] = [:]
        var people: [Person] = []
        var last: LogEntry?
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "id": id = MessageThread.ID(try scanner.string())
            case "subject": subject = try scanner.string()
            case "state": isClosed = try scanner.scalar() == .string("closed")
            case "participants" where scanner.peek() == UInt8(ascii: "["):
                try scanner.array { (scanner) throws(JSONFault) in people.append(try person(&scanner)) }
            case "last" where scanner.peek() == UInt8(ascii: "{"): last = try LogEntry.read(from: &scanner)
            default:
                if case .integer(let value) = try scanner.scalar() { numbers[key] = value }
            }
        }
        guard let id else { throw scanner.fault("a thread has no id") }
        return ThreadSummary(
            id: ThreadID(id), subject: subject, isClosed: isClosed, lastNumber: numbers["lastNumber"] ?? 0,
            lastPosition: numbers["lastPosition"] ?? 0,
            lastShownPosition: numbers["lastShownPosition"] ?? last?.position ?? 0,
            unread: numbers["unread"] ?? 0,
            urgentUnread: numbers["urgentUnread"], firstUnreadUrgent: numbers["firstUnreadUrgent"],
            delivered: numbers["delivered"] ?? 0, read: numbers["read"] ?? 0, participants: people,
            participantCount: numbers["participantCount"].map(Int.init) ?? people.count,
            last: last.flatMap(Entry.init))
    }

    private static func person(_ scanner: inout JSONScanner) throws(JSONFault) -> Person {
        var id: User.ID?
        var login = ""
        var name = ""
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "id": id = User.ID(try scanner.string())
            case "login": login = try scanner.string()
            case "name": name = try scanner.string()
            default: try scanner.skip()
            }
        }
        guard let id else { throw scanner.fault("a user has no id") }
        return Person(id: UserID(id), login: login, name: name)
    }

    /// One text of an object.
    private static func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFault) -> String {
        var value = ""
        try scanner.object { (key, scanner) throws(JSONFault) in
            if key == name { value = try scanner.string() } else { try scanner.skip() }
        }
        return value
    }
}
