/// A 64-bit mark of one entry: tells whether what stands at a position is what was followed there.
///
/// It is made of what never changes about an entry (taking a message back changes its kind and text). A log that lost
/// entries gets others at their positions, written at another time. Against such accidents 64 bits do; it is no proof
/// against somebody who forges.
package struct EntryMark: Hashable, Sendable {
    package let rawValue: UInt64

    package init(
        position: LogPosition, thread: MessageThread.ID, number: EntryNumber?, author: User.ID?,
        clientID: ClientID?, at: Timestamp
    ) {
        var mark: UInt64 = 0
        for word in [position, thread.rawValue, number ?? 0, author?.rawValue ?? 0, at.microseconds] {
            mark = Self.mixed(mark ^ UInt64(bitPattern: word))
        }
        mark = Self.mixed(mark ^ (clientID?.high ?? 0))
        rawValue = Self.mixed(mark ^ (clientID?.low ?? 0))
    }

    /// Spreads each bit over all others (the finalizer of SplitMix64).
    private static func mixed(_ value: UInt64) -> UInt64 {
        var bits = value &+ 0x9E37_79B9_7F4A_7C15
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}

extension LogEntry {
    package var mark: EntryMark {
        EntryMark(
            position: position, thread: thread, number: number, author: author, clientID: clientID, at: at)
    }
}
