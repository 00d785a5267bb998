extension ServerFrame {
    /// Reads a frame, on the client's side. Unknown kinds are not an error: a newer server may send them.
    package static func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(FrameRejection) -> ServerFrame {
        var fields = ServerFields()
        do throws(JSONFault) {
            var scanner = JSONScanner(bytes)
            try scanner.object { (key, scanner) throws(JSONFault) in try fields.take(key, from: &scanner) }
            try scanner.end()
        } catch {
            throw FrameRejection(error, ref: fields.ref)
        }
        guard case .string(let kind) = fields.kind else {
            throw FrameRejection(Refusal(.badFrame, "A server's frame has no `kind`."), ref: fields.ref)
        }
        guard let frame = fields.frame(kind: kind) else {
            throw FrameRejection(
                Refusal(.badFrame, "A server's frame \"\(kind.prefix(32))\" lacks a field of its kind."),
                ref: fields.ref)
        }
        return frame
    }
}

extension Receipt {
    /// Reads `{"user":…,"delivered":…,"read":…}`.
    package static func read(from scanner: inout JSONScanner) throws(JSONFault) -> Receipt {
        var user: User.ID?
        var delivered: Int64 = 0
        var read: Int64 = 0
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "user": user = User.ID(try scanner.string())
            case "delivered": delivered = try scanner.integer()
            case "read": read = try scanner.integer()
            default: try scanner.skip()
            }
        }
        guard let user else { throw scanner.fault("a receipt lacks its user") }
        return Receipt(user: user, delivered: delivered, read: read)
    }
}

extension Refusal {
    /// A refusal from the wire. A code of a newer server counts as `bad-request`, which is final, and is
    /// named in the text.
    package init(wireCode: String, message: String, retryAfterMilliseconds: Int?) {
        let code = Code(rawValue: wireCode)
        self.init(
            code ?? .badRequest, code == nil ? "\(message) (\(wireCode.prefix(32)))" : message,
            retryAfterMilliseconds: retryAfterMilliseconds)
    }
}

/// The fields of a server's frame as they come, before its kind is known for sure.
private struct ServerFields {
    var kind: JSONScalar?
    var ref: FrameRef?
    var user: JSONScalar?
    var device: JSONScalar?
    var cursor: JSONScalar?
    var resync: JSONScalar?
    var otherLog: JSONScalar?
    var position: JSONScalar?
    var number: JSONScalar?
    var at: JSONScalar?
    var thread: JSONScalar?
    var code: JSONScalar?
    var message: JSONScalar?
    var retryAfter: JSONScalar?
    var reconnectAfter: JSONScalar?
    var entries: [LogEntry]?
    var receipts: [Receipt]?
    var web: JSONScalar?
    var server: JSONScalar?

    mutating func take(_ key: String, from scanner: inout JSONScanner) throws(JSONFault) {
        switch key {
        case "kind": kind = try scanner.scalar()
        case "ref": ref = try FrameRef.read(from: &scanner)
        case "user": user = try scanner.scalar()
        case "device": device = try scanner.scalar()
        case "cursor": cursor = try scanner.scalar()
        case "resync": resync = try scanner.scalar()
        case "otherLog": otherLog = try scanner.scalar()
        case "position": position = try scanner.scalar()
        case "number": number = try scanner.scalar()
        case "at": at = try scanner.scalar()
        case "thread": thread = try scanner.scalar()
        case "code": code = try scanner.scalar()
        case "message": message = try scanner.scalar()
        case "retryAfterMs": retryAfter = try scanner.scalar()
        case "reconnectAfterMs": reconnectAfter = try scanner.scalar()
        case "web": web = try scanner.scalar()
        case "server": server = try scanner.scalar()
        case "entries" where scanner.peek() == UInt8(ascii: "["):
            var read: [LogEntry] = []
            try scanner.array { (scanner) throws(JSONFault) in read.append(try LogEntry.read(from: &scanner))
            }
            entries = read
        case "receipts" where scanner.peek() == UInt8(ascii: "["):
            var read: [Receipt] = []
            try scanner.array { (scanner) throws(JSONFault) in read.append(try Receipt.read(from: &scanner)) }
            receipts = read
        default: try scanner.skip()
        }
    }

    func frame(kind: String) -> ServerFrame? {
        switch kind {
        case "welcome": welcome()
        case "ack": ack()
        case "refused": refusal().map { .refused(ref: ref, $0) }
        case "entries":
            if let cursor = logCursor(), let entries { .entries(cursor: cursor, entries) } else { nil }
        case "receipts": receiptsFrame()
        case "resync": logCursor().map { .resync(cursor: $0, otherLog: otherLog == .bool(true)) }
        case "draining":
            if case .integer(let value) = reconnectAfter {
                .draining(reconnectAfterMilliseconds: Int(value))
            } else {
                nil
            }
        case "pong": .pong(ref: ref)
        case "bye": refusal().map { .bye($0) }
        case "route":
            if case .string(let web) = web, case .string(let server) = server {
                .route(web: escapingControls(web), server: escapingControls(server))
            } else {
                nil
            }
        default: .unknown(kind: kind)
        }
    }

    private func welcome() -> ServerFrame? {
        guard case .string(let user) = user, let user = User.ID(user), case .string(let device) = device,
            let device = Device.ID(device), let cursor = logCursor()
        else { return nil }
        return .welcome(
            user: user, device: device, cursor: cursor, resync: resync == .bool(true),
            otherLog: otherLog == .bool(true))
    }

    private func ack() -> ServerFrame? {
        guard let ref, case .integer(let position) = position, case .integer(let number) = number,
            case .integer(let at) = at, let at = Timestamp(wireMilliseconds: at)
        else { return nil }
        return .ack(ref: ref, position: position, number: number, at: at)
    }

    private func receiptsFrame() -> ServerFrame? {
        guard let cursor = logCursor(), case .string(let thread) = thread,
            let thread = MessageThread.ID(thread),
            case .integer(let at) = at, let at = Timestamp(wireMilliseconds: at), let receipts
        else { return nil }
        return .receipts(ReceiptsFrame(cursor: cursor, thread: thread, at: at, receipts: receipts))
    }

    private func refusal() -> Refusal? {
        guard case .string(let code) = code else { return nil }
        var message = ""
        if case .string(let text) = self.message { message = text }
        var retryAfter: Int?
        if case .integer(let value) = self.retryAfter { retryAfter = Int(value) }
        return Refusal(wireCode: code, message: message, retryAfterMilliseconds: retryAfter)
    }

    private func logCursor() -> LogCursor? {
        guard case .string(let text) = cursor else { return nil }
        return LogCursor(text)
    }
}
