/// A place in a customer's log: dense from 1, in commit order.
package typealias LogPosition = Int64

/// The place of an entry in its thread, dense from 1, given only to what people see.
package typealias EntryNumber = Int64

/// How far positions and numbers go: to 2^53, which every program that reads JSON can count to.
package enum LogRange {
    package static let last: Int64 = 1 << 53
    /// Positions; 0 is before the first entry.
    package static let positions: ClosedRange<LogPosition> = 0...last
    package static let numbers: ClosedRange<EntryNumber> = 1...last
    /// Numbers where 0 stands for none.
    package static let numbersOrNone: ClosedRange<EntryNumber> = 0...last
}

/// How far a client has followed its customer's log: `epoch.position`, as in `0192…-….4711`.
package struct LogCursor: Hashable, Sendable, CustomStringConvertible {
    package let epoch: LogEpoch
    package let position: LogPosition

    package init(epoch: LogEpoch, position: LogPosition) {
        self.epoch = epoch
        self.position = position
    }

    /// Reads the text form; nil when it is not `UUID.NUMBER` with a number that a position can be.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let epoch = LogEpoch(String(parts[0])),
            let position = Int64(canonical: parts[1]), LogRange.positions.contains(position)
        else { return nil }
        self.init(epoch: epoch, position: position)
    }

    package var description: String { "\(epoch).\(position)" }
}
