/// A live frame from client to server (docs/client-protocol.md, section 3).
package enum ClientFrame: Sendable, Hashable {
    case hello(token: Sealed<String>, cursor: LogCursor?)
    case send(SendFrame)
    case receipt(thread: MessageThread.ID, delivered: EntryNumber?, read: EntryNumber?)
    case ping(ref: FrameRef?)
    /// Asks to be told which servers the session goes through, now and whenever that changes.
    case route

    /// Reads a frame; the rejection names the field and what is expected, and carries a readable `ref`.
    package static func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(FrameRejection) -> ClientFrame {
        var fields = ClientFields()
        do throws(JSONFault) {
            var scanner = JSONScanner(bytes)
            try scanner.object { (key, scanner) throws(JSONFault) in try fields.take(key, from: &scanner) }
            try scanner.end()
        } catch {
            throw FrameRejection(error, ref: fields.ref)
        }
        return try fields.frame()
    }

    /// The `ref` of a frame of which only the beginning is there; nil when it does not stand in it.
    package static func ref(of beginning: UnsafeBufferPointer<UInt8>) -> FrameRef? {
        var fields = ClientFields()
        // It always ends with a fault, since the frame does; what was read before is what counts.
        do throws(JSONFault) {
            var scanner = JSONScanner(beginning)
            try scanner.object { (key, scanner) throws(JSONFault) in try fields.take(key, from: &scanner) }
        } catch {
            return fields.ref
        }
        return fields.ref
    }

    /// Appends the frame as JSON.
    package func encode(into bytes: inout [UInt8]) {
        switch self {
        case .hello(let token, let cursor):
            JSONWriter.raw(#"{"kind":"hello","token":"#, into: &bytes)
            JSONWriter.string(token.open, into: &bytes)
            if let cursor {
                JSONWriter.raw(#","cursor":"#, into: &bytes)
                JSONWriter.cursor(cursor, into: &bytes)
            }
        case .send(let frame): frame.encode(into: &bytes)
        case .receipt(let thread, let delivered, let read):
            JSONWriter.raw(#"{"kind":"receipt","thread":"#, into: &bytes)
            JSONWriter.identifier(thread, into: &bytes)
            if let delivered {
                JSONWriter.raw(#","delivered":"#, into: &bytes)
                JSONWriter.integer(delivered, into: &bytes)
            }
            if let read {
                JSONWriter.raw(#","read":"#, into: &bytes)
                JSONWriter.integer(read, into: &bytes)
            }
        case .ping(let ref):
            JSONWriter.raw(#"{"kind":"ping""#, into: &bytes)
            if let ref {
                JSONWriter.raw(#","ref":"#, into: &bytes)
                ref.write(into: &bytes)
            }
        case .route: JSONWriter.raw(#"{"kind":"route""#, into: &bytes)
        }
        JSONWriter.raw("}", into: &bytes)
    }
}

/// A message that a client sends.
package struct SendFrame: Sendable, Hashable {
    package let ref: FrameRef
    package let clientID: ClientID
    package let thread: MessageThread.ID
    package let text: Sealed<String>
    package let priority: Priority

    package init(
        ref: FrameRef, clientID: ClientID, thread: MessageThread.ID, text: Sealed<String>, priority: Priority
    ) {
        self.ref = ref
        self.clientID = clientID
        self.thread = thread
        self.text = text
        self.priority = priority
    }

    /// Appends all but the closing brace.
    fileprivate func encode(into bytes: inout [UInt8]) {
        JSONWriter.raw(#"{"kind":"send","ref":"#, into: &bytes)
        ref.write(into: &bytes)
        JSONWriter.raw(#","clientId":"#, into: &bytes)
        JSONWriter.token(clientID, into: &bytes)
        JSONWriter.raw(#","thread":"#, into: &bytes)
        JSONWriter.identifier(thread, into: &bytes)
        JSONWriter.raw(#","text":"#, into: &bytes)
        JSONWriter.string(text.open, into: &bytes)
        if priority != .normal {
            JSONWriter.raw(#","priority":"#, into: &bytes)
            JSONWriter.string(priority.name, into: &bytes)
        }
    }
}

/// The fields of a client's frame as they come, before its kind is known for sure.
private struct ClientFields {
    var kind: JSONScalar?
    var ref: FrameRef?
    var hasBadRef = false
    var token: JSONScalar?
    var cursor: JSONScalar?
    var clientID: JSONScalar?
    var thread: JSONScalar?
    var text: JSONScalar?
    var priority: JSONScalar?
    var delivered: JSONScalar?
    var read: JSONScalar?

    mutating func take(_ key: String, from scanner: inout JSONScanner) throws(JSONFault) {
        switch key {
        case "kind": kind = try scanner.scalar()
        case "ref":
            let isNull = scanner.peek() == UInt8(ascii: "n")
            ref = try FrameRef.read(from: &scanner)
            hasBadRef = ref == nil && !isNull
        case "token": token = try scanner.scalar()
        case "cursor": cursor = try scanner.scalar()
        case "clientId": clientID = try scanner.scalar()
        case "thread": thread = try scanner.scalar()
        case "text": text = try scanner.scalar()
        case "priority": priority = try scanner.scalar()
        case "delivered": delivered = try scanner.scalar()
        case "read": read = try scanner.scalar()
        default: try scanner.skip()
        }
    }

    func frame() throws(FrameRejection) -> ClientFrame {
        guard case .string(let kind) = kind else {
            throw bad("a frame", "kind", self.kind, expected: "a string such as \"send\"")
        }
        switch kind {
        case "hello": return .hello(token: try tokenValue(), cursor: try cursorValue())
        case "send": return .send(try send())
        case "receipt": return try receipt()
        case "ping":
            if hasBadRef { throw badRef(in: kind) }
            return .ping(ref: ref)
        case "route": return .route
        default:
            throw FrameRejection(
                Refusal(
                    .unknownFrame,
                    "There is no frame \"\(harmless(kind))\"; clients send hello, send, receipt, ping and route."
                ),
                ref: ref)
        }
    }

    private func send() throws(FrameRejection) -> SendFrame {
        guard let ref, !hasBadRef else { throw badRef(in: "send") }
        guard case .string(let text) = text else {
            throw bad("send", "text", self.text, expected: "a string")
        }
        guard case .string(let id) = clientID, let clientID = ClientID(id) else {
            throw bad("send", "clientId", self.clientID, expected: "a UUID as a string")
        }
        return SendFrame(
            ref: ref, clientID: clientID, thread: try threadID(in: "send"), text: Sealed(text),
            priority: try priorityValue())
    }

    private func receipt() throws(FrameRejection) -> ClientFrame {
        let delivered = try entryNumber(delivered, "delivered")
        let read = try entryNumber(read, "read")
        guard delivered != nil || read != nil else {
            throw bad("receipt", "delivered", nil, expected: "a number there, in `read`, or in both")
        }
        return .receipt(thread: try threadID(in: "receipt"), delivered: delivered, read: read)
    }

    private func tokenValue() throws(FrameRejection) -> Sealed<String> {
        guard case .string(let text) = token else { throw bad("hello", "token", token, expected: "a string") }
        return Sealed(text)
    }

    private func cursorValue() throws(FrameRejection) -> LogCursor? {
        switch cursor {
        case nil, .null: return nil
        case .string(let text):
            if let cursor = LogCursor(text) { return cursor }
        default: break
        }
        throw FrameRejection(
            Refusal(
                .badRequest,
                "In hello, `cursor` is not valid; expected a cursor as a server gave it (EPOCH.POSITION.FINGERPRINT), or none."
            ),
            ref: ref)
    }

    private func priorityValue() throws(FrameRejection) -> Priority {
        switch priority {
        case nil, .null: return .normal
        case .string(let name):
            if let priority = Priority(name: name) { return priority }
        default: break
        }
        throw bad("send", "priority", priority, expected: "\"normal\" or \"urgent\"")
    }

    private func threadID(in kind: String) throws(FrameRejection) -> MessageThread.ID {
        guard case .string(let text) = thread, let id = MessageThread.ID(text) else {
            throw bad(kind, "thread", thread, expected: "a thread's id: decimal digits as a string")
        }
        return id
    }

    private func entryNumber(_ value: JSONScalar?, _ name: String) throws(FrameRejection) -> EntryNumber? {
        switch value {
        case nil, .null: return nil
        case .integer(let number) where LogRange.numbersOrNone.contains(number): return number
        default: throw bad("receipt", name, value, expected: "a whole number from 0 to \(LogRange.last)")
        }
    }

    private func bad(_ frame: String, _ field: String, _ value: JSONScalar?, expected: String)
        -> FrameRejection
    {
        let problem = value == nil ? "is missing" : "is not valid"
        return FrameRejection(
            Refusal(.badFrame, "In \(frame), `\(field)` \(problem); expected \(expected)."), ref: ref)
    }

    private func badRef(in frame: String) -> FrameRejection {
        bad(
            frame, "ref", hasBadRef ? .other : nil,
            expected: "a string of at most \(FrameRef.lengthLimit) characters or a whole number")
    }

    /// The text shortened, with all but ASCII letters, digits, hyphens, points and underscores replaced.
    private func harmless(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(32).map { scalar in
                let isHarmless =
                    scalar.isASCII
                    && (scalar.properties.isAlphabetic || scalar.properties.numericType == .decimal
                        || "-._".unicodeScalars.contains(scalar))
                return isHarmless ? Character(scalar) : "?"
            })
    }
}
