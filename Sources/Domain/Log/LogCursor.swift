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

/// How far a client has followed its customer's log: `epoch.position.fingerprint`, as in `0192…-….4711.5f0c9a31be07`.
///
/// The fingerprint is that of the entry at the position. Position 0 has no entry and no fingerprint; cursors of older
/// servers have none either, and are taken as they are.
package struct LogCursor: Hashable, Sendable, CustomStringConvertible {
    package let epoch: LogEpoch
    package let position: LogPosition
    package let fingerprint: CursorFingerprint?

    package init(epoch: LogEpoch, position: LogPosition, fingerprint: CursorFingerprint? = nil) {
        self.epoch = epoch
        self.position = position
        self.fingerprint = position > 0 ? fingerprint : nil
    }

    /// - Parameter mark: of the entry at the position; nil when there is none.
    package init(epoch: LogEpoch, position: LogPosition, mark: EntryMark?) {
        self.init(epoch: epoch, position: position, fingerprint: mark.map { CursorFingerprint($0) })
    }

    /// Reads the text form; nil when it is not exactly as `description` writes it.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let epoch = LogEpoch(String(parts[0])),
            epoch.description == parts[0],
            let position = Int64(canonical: parts[1]), LogRange.positions.contains(position)
        else { return nil }
        guard parts.count == 3 else {
            self.init(epoch: epoch, position: position)
            return
        }
        guard position > 0, let fingerprint = CursorFingerprint(parts[2]) else { return nil }
        self.init(epoch: epoch, position: position, fingerprint: fingerprint)
    }

    package var description: String {
        fingerprint.map { "\(epoch).\(position).\($0)" } ?? "\(epoch).\(position)"
    }

    /// Whether it may be a place of the log that has this entry at its position. Without a fingerprint, nothing says no.
    /// - Parameter mark: nil when there is no entry.
    package func mayStand(at mark: EntryMark?) -> Bool {
        guard let fingerprint else { return true }
        return mark.map { CursorFingerprint($0) } == fingerprint
    }
}
