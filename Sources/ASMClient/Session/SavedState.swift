import Domain

/// What a client must keep over a restart: the outbox, how far it has followed the log, and which entries it
/// has.
public struct SavedState: Hashable, Sendable {
    var cursor: LogCursor?
    var progress: [MessageThread.ID: ThreadProgress] = [:]
    var outbox: [Outbox.Item] = []

    public init() {}

    /// How many messages wait to be sent.
    public var waitingMessages: Int { outbox.count }

    /// The state as JSON, for stores.
    public var json: [UInt8] {
        WebBody.object { body in
            body.raw("version") { JSONWriter.integer(1, into: &$0) }
            if let cursor { body.raw("cursor") { JSONWriter.cursor(cursor, into: &$0) } }
            body.raw("threads") { bytes in
                JSONWriter.list(progress, into: &bytes) { thread, bytes in
                    bytes += WebBody.object { body in
                        body.raw("id") { JSONWriter.identifier(thread.key, into: &$0) }
                        body.raw("contiguous") { JSONWriter.integer(thread.value.contiguous, into: &$0) }
                        body.raw("lastEntry") { JSONWriter.integer(thread.value.lastEntry, into: &$0) }
                        if let unknown = thread.value.unknownUpTo {
                            body.raw("unknownUpTo") { JSONWriter.integer(unknown, into: &$0) }
                        }
                        body.raw("above") { bytes in
                            JSONWriter.list(thread.value.above, into: &bytes) {
                                JSONWriter.integer($0, into: &$1)
                            }
                        }
                    }
                }
            }
            body.raw("outbox") { bytes in
                JSONWriter.list(outbox, into: &bytes) { item, bytes in
                    bytes += WebBody.object { body in
                        body.raw("clientId") { JSONWriter.token(item.id, into: &$0) }
                        body.raw("thread") { JSONWriter.identifier(item.thread, into: &$0) }
                        body.string("text", item.text.open)
                        body.string("priority", item.priority.name)
                    }
                }
            }
        }
    }

    /// Reads what `json` gave. Throws `MessagingError` when the bytes are something else.
    public init(json bytes: [UInt8]) throws {
        self = try WebAnswer.read(bytes) { (scanner) throws(JSONFault) in try SavedState(from: &scanner) }
    }

    private init(from scanner: inout JSONScanner) throws(JSONFault) {
        var version: Int64?
        var state = SavedState()
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "version": version = try scanner.integer()
            case "cursor": state.cursor = LogCursor(try scanner.string())
            case "threads":
                try scanner.array { (scanner) throws(JSONFault) in try state.readThread(&scanner) }
            case "outbox":
                try scanner.array { (scanner) throws(JSONFault) in try state.readWaiting(&scanner) }
            default: try scanner.skip()
            }
        }
        guard version == 1 else { throw scanner.fault("no saved state of version 1") }
        self = state
    }

    private mutating func readThread(_ scanner: inout JSONScanner) throws(JSONFault) {
        var id: MessageThread.ID?
        var contiguous: Int64 = 0
        var lastEntry: Int64 = 0
        var unknownUpTo: Int64?
        var above: [Int64] = []
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "id": id = MessageThread.ID(try scanner.string())
            case "contiguous": contiguous = try scanner.integer()
            case "lastEntry": lastEntry = try scanner.integer()
            case "unknownUpTo": unknownUpTo = try scanner.integer()
            case "above":
                try scanner.array { (scanner) throws(JSONFault) in above.append(try scanner.integer()) }
            default: try scanner.skip()
            }
        }
        guard let id else { throw scanner.fault("a thread without id") }
        progress[id] = ThreadProgress(
            contiguous: contiguous, above: above, lastEntry: lastEntry, unknownUpTo: unknownUpTo)
    }

    private mutating func readWaiting(_ scanner: inout JSONScanner) throws(JSONFault) {
        var id: ClientID?
        var thread: MessageThread.ID?
        var text: String?
        var priority = Priority.normal
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "clientId": id = ClientID(try scanner.string())
            case "thread": thread = MessageThread.ID(try scanner.string())
            case "text": text = try scanner.string()
            case "priority": priority = Priority(name: try scanner.string()) ?? .normal
            default: try scanner.skip()
            }
        }
        guard let id, let thread, let text else { throw scanner.fault("an incomplete waiting message") }
        outbox.append(Outbox.Item(id: id, thread: thread, text: Sealed(text), priority: priority))
    }
}
