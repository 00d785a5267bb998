/// A live frame from server to client (docs/client-protocol.md, section 3).
package enum ServerFrame: Sendable, Hashable {
    /// `otherLog`: with `resync`, what the client had may be of another history of the log, numbers and marks included.
    case welcome(user: User.ID, device: Device.ID, cursor: LogCursor, resync: Bool, otherLog: Bool = false)
    case ack(ref: FrameRef, position: LogPosition, number: EntryNumber, at: Timestamp)
    case refused(ref: FrameRef?, Refusal)
    case entries(cursor: LogCursor, [LogEntry])
    case receipts(ReceiptsFrame)
    case resync(cursor: LogCursor, otherLog: Bool = false)
    case draining(reconnectAfterMilliseconds: Int)
    case pong(ref: FrameRef?)
    case bye(Refusal)
    /// From here on the session goes through this Web Service and this ASM Service, as its list names it.
    case route(web: String, server: String)
    /// A kind that this version does not know; only ever received.
    case unknown(kind: String)

    /// The beginning of an `entries` frame: append the cursor, `entriesMiddle`, the entries' objects joined
    /// by commas, and `entriesEnd`. So a server that has encoded an entry once can wrap it for each of its
    /// clients.
    package static let entriesStart: StaticString = #"{"kind":"entries","cursor":"#
    package static let entriesMiddle: StaticString = #","entries":["#
    package static let entriesEnd: StaticString = "]}"

    /// Appends the frame as JSON.
    package func encode(into bytes: inout [UInt8]) {
        switch self {
        case .welcome(let user, let device, let cursor, let resync, let otherLog):
            JSONWriter.raw(#"{"kind":"welcome","user":"#, into: &bytes)
            JSONWriter.identifier(user, into: &bytes)
            JSONWriter.raw(#","device":"#, into: &bytes)
            JSONWriter.identifier(device, into: &bytes)
            JSONWriter.raw(#","cursor":"#, into: &bytes)
            JSONWriter.cursor(cursor, into: &bytes)
            JSONWriter.raw(resync ? #","resync":true"# : #","resync":false"#, into: &bytes)
            if otherLog { JSONWriter.raw(#","otherLog":true"#, into: &bytes) }
        case .ack(let ref, let position, let number, let at):
            JSONWriter.raw(#"{"kind":"ack","ref":"#, into: &bytes)
            ref.write(into: &bytes)
            JSONWriter.raw(#","position":"#, into: &bytes)
            JSONWriter.integer(position, into: &bytes)
            JSONWriter.raw(#","number":"#, into: &bytes)
            JSONWriter.integer(number, into: &bytes)
            JSONWriter.raw(#","at":"#, into: &bytes)
            JSONWriter.integer(at.milliseconds, into: &bytes)
        case .refused(let ref, let refusal):
            JSONWriter.raw(#"{"kind":"refused""#, into: &bytes)
            Self.encode(ref, into: &bytes)
            Self.encode(refusal, into: &bytes)
        case .entries(let cursor, let entries):
            Self.encodeEntries(entries, cursor: cursor, into: &bytes)
            return
        case .receipts(let frame): frame.encode(into: &bytes)
        case .resync(let cursor, let otherLog):
            JSONWriter.raw(#"{"kind":"resync","cursor":"#, into: &bytes)
            JSONWriter.cursor(cursor, into: &bytes)
            if otherLog { JSONWriter.raw(#","otherLog":true"#, into: &bytes) }
        case .draining(let milliseconds):
            JSONWriter.raw(#"{"kind":"draining","reconnectAfterMs":"#, into: &bytes)
            JSONWriter.integer(Int64(milliseconds), into: &bytes)
        case .pong(let ref):
            JSONWriter.raw(#"{"kind":"pong""#, into: &bytes)
            Self.encode(ref, into: &bytes)
        case .bye(let refusal):
            JSONWriter.raw(#"{"kind":"bye""#, into: &bytes)
            Self.encode(refusal, into: &bytes)
        case .route(let web, let server):
            JSONWriter.raw(#"{"kind":"route","web":"#, into: &bytes)
            JSONWriter.string(web, into: &bytes)
            JSONWriter.raw(#","server":"#, into: &bytes)
            JSONWriter.string(server, into: &bytes)
        case .unknown(let kind):
            JSONWriter.raw(#"{"kind":"#, into: &bytes)
            JSONWriter.string(kind, into: &bytes)
        }
        JSONWriter.raw("}", into: &bytes)
    }

    private static func encodeEntries(_ entries: [LogEntry], cursor: LogCursor, into bytes: inout [UInt8]) {
        JSONWriter.raw(entriesStart, into: &bytes)
        JSONWriter.cursor(cursor, into: &bytes)
        JSONWriter.raw(entriesMiddle, into: &bytes)
        var isFirst = true
        for entry in entries {
            let end = bytes.count
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            if entry.encodeJSON(into: &bytes) { isFirst = false } else { bytes.removeSubrange(end...) }
        }
        JSONWriter.raw(entriesEnd, into: &bytes)
    }

    private static func encode(_ ref: FrameRef?, into bytes: inout [UInt8]) {
        guard let ref else { return }
        JSONWriter.raw(#","ref":"#, into: &bytes)
        ref.write(into: &bytes)
    }

    private static func encode(_ refusal: Refusal, into bytes: inout [UInt8]) {
        JSONWriter.raw(#","code":"#, into: &bytes)
        JSONWriter.string(refusal.code.rawValue, into: &bytes)
        JSONWriter.raw(#","message":"#, into: &bytes)
        JSONWriter.string(refusal.message, into: &bytes)
        guard let milliseconds = refusal.retryAfterMilliseconds else { return }
        JSONWriter.raw(#","retryAfterMs":"#, into: &bytes)
        JSONWriter.integer(Int64(milliseconds), into: &bytes)
    }
}

/// How far people have got in one thread.
package struct ReceiptsFrame: Sendable, Hashable {
    package let cursor: LogCursor
    package let thread: MessageThread.ID
    package let at: Timestamp
    package let receipts: [Receipt]

    package init(cursor: LogCursor, thread: MessageThread.ID, at: Timestamp, receipts: [Receipt]) {
        self.cursor = cursor
        self.thread = thread
        self.at = at
        self.receipts = receipts
    }

    /// Appends all but the closing brace.
    fileprivate func encode(into bytes: inout [UInt8]) {
        JSONWriter.raw(#"{"kind":"receipts","cursor":"#, into: &bytes)
        JSONWriter.cursor(cursor, into: &bytes)
        JSONWriter.raw(#","thread":"#, into: &bytes)
        JSONWriter.identifier(thread, into: &bytes)
        JSONWriter.raw(#","at":"#, into: &bytes)
        JSONWriter.integer(at.milliseconds, into: &bytes)
        JSONWriter.raw(#","receipts":"#, into: &bytes)
        JSONWriter.list(receipts, into: &bytes) { receipt, bytes in
            JSONWriter.raw(#"{"user":"#, into: &bytes)
            JSONWriter.identifier(receipt.user, into: &bytes)
            JSONWriter.raw(#","delivered":"#, into: &bytes)
            JSONWriter.integer(receipt.delivered, into: &bytes)
            JSONWriter.raw(#","read":"#, into: &bytes)
            JSONWriter.integer(receipt.read, into: &bytes)
            JSONWriter.raw("}", into: &bytes)
        }
    }
}

extension LogEntry {
    /// Appends the whole `receipts` frame for an entry that carries receipts; false, with nothing appended,
    /// for others.
    @discardableResult
    package func encodeReceiptsFrame(cursor: LogCursor, into bytes: inout [UInt8]) -> Bool {
        guard case .receipts(let receipts) = content else { return false }
        ServerFrame.receipts(ReceiptsFrame(cursor: cursor, thread: thread, at: at, receipts: receipts))
            .encode(into: &bytes)
        return true
    }
}
