import Observability
import Synchronization

/// What the backlogs of all live sessions of the process keep in memory, and its bound.
///
/// A delivery counts once, however many sessions hold it, and whole, however little of it is still to be sent: that is
/// what it costs. Safe to use from any event loop.
final class BacklogBudget: Sendable {
    /// What a session keeps for one delivery beside the delivery itself, and for each of its items there.
    private static let pieceBytes = 96
    private static let itemBytes = 4

    private let limitBytes: Int
    private let held = Atomic(0)
    private let gauge: Gauge

    init(limitBytes: Int, gauge: Gauge) {
        self.limitBytes = limitBytes
        self.gauge = gauge
    }

    var bytes: Int { held.load(ordering: .relaxed) }

    /// Whether so much is held that the largest backlogs are to go, so that small ones still find room.
    var isTight: Bool { bytes > limitBytes / 8 * 7 }

    /// Counts a session's items of a delivery; false, and nothing is counted, when that is too much.
    func hold(_ delivery: LiveDelivery, items: Int) -> Bool {
        let more = Self.bytes(of: items) + (delivery.addHolder() ? delivery.bytes : 0)
        let isTaken = held.wrappingAdd(more, ordering: .relaxed).newValue <= limitBytes
        gauge.add(more)
        if !isTaken { release(delivery, items: items) }
        return isTaken
    }

    func release(_ delivery: LiveDelivery, items: Int) {
        let less = Self.bytes(of: items) + (delivery.removeHolder() ? delivery.bytes : 0)
        held.wrappingSubtract(less, ordering: .relaxed)
        gauge.add(-less)
    }

    private static func bytes(of items: Int) -> Int { pieceBytes + itemBytes * items }
}
