import Domain
import NIOCore
import ServiceLink
import Synchronization

/// Entries that came in one frame of the link, encoded once for all sessions that get them.
final class LiveDelivery: Sendable {
    /// Who gets which item.
    struct Route: Sendable {
        let session: UInt64
        let item: Int32
    }

    struct Item: Sendable {
        let position: LogPosition
        let fingerprint: CursorFingerprint
        let content: Content
        /// As `LogEntry.textBytes` counts: what limits are in, however the text is escaped.
        let textBytes: Int
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
    let items: [Item]
    let json: [UInt8]
    /// What it takes in memory.
    let bytes: Int
    /// In how many backlogs it is.
    private let holders = Atomic(0)

    init(_ delivered: [LinkDelivery.Item], epoch: LogEpoch) {
        self.epoch = epoch
        var encoder = Encoder(epoch: epoch)
        encoder.items.reserveCapacity(delivered.count)
        encoder.json.reserveCapacity(delivered.count * 320)
        for item in delivered { encoder.append(LogEntry(item.entry)) }
        items = encoder.items
        json = encoder.json
        bytes = json.capacity + encoder.longBytes + items.count * MemoryLayout<Item>.stride
    }

    /// How far a client is that was given this item.
    func cursor(after index: Int) -> LogCursor {
        LogCursor(epoch: epoch, position: items[index].position, fingerprint: items[index].fingerprint)
    }

    /// - Returns: whether it is the first.
    func addHolder() -> Bool { holders.wrappingAdd(1, ordering: .relaxed).oldValue == 0 }

    /// - Returns: whether it was the last.
    func removeHolder() -> Bool { holders.wrappingSubtract(1, ordering: .relaxed).newValue == 0 }

    private struct Encoder {
        let epoch: LogEpoch
        var items: [Item] = []
        var json: [UInt8] = []
        var longBytes = 0

        init(epoch: LogEpoch) { self.epoch = epoch }

        mutating func append(_ entry: LogEntry) {
            let start = json.count
            let fingerprint = CursorFingerprint(entry.mark)
            let content: Content
            if case .receipts(let receipts) = entry.content {
                let cursor = LogCursor(
                    epoch: epoch, position: entry.position, fingerprint: fingerprint)
                let frame = ReceiptsFrame(
                    cursor: cursor, thread: entry.thread, at: entry.at, receipts: receipts)
                ServerFrame.receipts(frame).encode(into: &json)
                content = .receipts(start..<json.count)
            } else if !entry.encodeJSON(into: &json) {
                content = .hidden
            } else if json.count - start < LiveDelivery.sharedBytes {
                content = .entry(start..<json.count)
            } else {
                let bytes = ByteBuffer(bytes: json[start...])
                json.removeSubrange(start...)
                longBytes += bytes.storageCapacity
                content = .longEntry(bytes)
            }
            items.append(
                Item(
                    position: entry.position, fingerprint: fingerprint, content: content,
                    textBytes: entry.textBytes))
        }
    }
}

/// Items of a delivery that are one session's, one after the other.
protocol LiveItems {
    /// The number of the item that is next; nil at the end.
    var item: Int? { get }
    mutating func advance()
}

extension LiveDelivery {
    /// The items of one session, in the order of the log.
    struct Chain: LiveItems {
        let routes: [Route]
        let next: [Int32]
        var index: Int32

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
