import Domain
import NIOCore
import ServiceLink

/// Entries that came in one frame of the link, encoded once for all sessions that get them.
struct LiveDelivery: Sendable {
    /// Who gets which item.
    struct Route: Sendable {
        let session: UInt64
        let item: Int32
    }

    struct Item: Sendable {
        let position: LogPosition
        let fingerprint: CursorFingerprint
        let content: Content
    }

    enum Content: Sendable {
        /// An entry's JSON object, as a range of `json`.
        case entry(Range<Int>)
        /// An entry's JSON object that is too long to be copied for each session.
        case longEntry(ByteBuffer)
        /// The JSON of a whole `receipts` frame, as a range of `json`.
        case receipts(Range<Int>)
        /// Not shown to clients.
        case hidden
    }

    /// From this size on an entry's bytes are shared between sessions rather than copied.
    static let sharedBytes = 4_096

    let epoch: LogEpoch
    private(set) var items: [Item] = []
    private(set) var json: [UInt8] = []

    init(_ delivered: [LinkDelivery.Item], epoch: LogEpoch) {
        self.epoch = epoch
        items.reserveCapacity(delivered.count)
        json.reserveCapacity(delivered.count * 320)
        for item in delivered { append(LogEntry(item.entry)) }
    }

    /// How far a client is that was given this item.
    func cursor(after index: Int) -> LogCursor {
        LogCursor(epoch: epoch, position: items[index].position, fingerprint: items[index].fingerprint)
    }

    private mutating func append(_ entry: LogEntry) {
        let start = json.count
        let fingerprint = CursorFingerprint(entry.mark)
        func item(_ content: Content) -> Item {
            Item(position: entry.position, fingerprint: fingerprint, content: content)
        }
        if case .receipts(let receipts) = entry.content {
            let cursor = LogCursor(epoch: epoch, position: entry.position, fingerprint: fingerprint)
            let frame = ReceiptsFrame(
                cursor: cursor, thread: entry.thread, at: entry.at, receipts: receipts)
            ServerFrame.receipts(frame).encode(into: &json)
            items.append(item(.receipts(start..<json.count)))
        } else if !entry.encodeJSON(into: &json) {
            items.append(item(.hidden))
        } else if json.count - start < Self.sharedBytes {
            items.append(item(.entry(start..<json.count)))
        } else {
            let bytes = ByteBuffer(bytes: json[start...])
            json.removeSubrange(start...)
            items.append(item(.longEntry(bytes)))
        }
    }
}

extension LiveDelivery {
    /// The items of one session, in the order of the log.
    struct Chain {
        let routes: [Route]
        let next: [Int32]
        var index: Int32

        /// The number of the item at which the chain stands; nil at its end.
        var item: Int? { index < 0 ? nil : Int(routes[Int(index)].item) }

        mutating func advance() { index = next[Int(index)] }
    }
}

extension LiveDelivery.Content {
    /// How long the JSON is, in bytes.
    var bytes: Int {
        switch self {
        case .entry(let range), .receipts(let range): range.count
        case .longEntry(let buffer): buffer.readableBytes
        case .hidden: 0
        }
    }
}
