/// Compares what was acknowledged with what everybody got and what everybody can read in the end.
///
/// Exact: every acknowledged message must stand once in every reader's history at every web address, at the number of
/// its acknowledgement, after the earlier ones of its sender; and must have come once to everybody else, in the log's
/// order.
package struct DeliveryAudit: Sendable, Hashable {
    /// Acknowledged messages that some history lacks.
    package private(set) var lost: Set<Int> = []
    /// Messages that stand twice in a history, or came twice.
    package private(set) var doubled: Set<Int> = []
    /// Messages that stand, or came, in another order than the log's or their sender's, or at another number.
    package private(set) var reordered: Set<Int> = []
    /// Acknowledged messages that somebody was not given while connected, though the history has them.
    package private(set) var missedLive: Set<Int> = []
    /// Messages without an answer that were stored all the same.
    package private(set) var storedUnanswered: Set<Int> = []

    package init(_ record: DrillRecord) {
        for history in record.histories { audit(history, record) }
        for path in record.paths.indices { audit(live: path, record) }
        missedLive.subtract(lost)
    }

    private mutating func audit(_ history: DrillRecord.History, _ record: DrillRecord) {
        var seen: Set<Int> = []
        var lastNumber: Int64 = 0
        var lastSequence: [Int: Int] = [:]
        for line in history.lines {
            defer { lastNumber = max(lastNumber, line.number) }
            guard let index = line.message else { continue }
            guard seen.insert(index).inserted else {
                doubled.insert(index)
                continue
            }
            let message = record.messages[index]
            if line.number <= lastNumber { reordered.insert(index) }
            if let number = message.answer?.number, number != line.number { reordered.insert(index) }
            if message.answer == nil { storedUnanswered.insert(index) }
            if message.sequence < lastSequence[message.path] ?? 0, !message.wasPostponed {
                reordered.insert(index)
            }
            lastSequence[message.path] = max(lastSequence[message.path] ?? 0, message.sequence)
        }
        for (index, message) in record.messages.enumerated()
        where message.answer != nil && !seen.contains(index) {
            lost.insert(index)
        }
    }

    private mutating func audit(live path: Int, _ record: DrillRecord) {
        var seen: Set<Int> = []
        var lastPosition: Int64 = 0
        for delivery in record.deliveries[path] {
            guard seen.insert(delivery.message).inserted else {
                doubled.insert(delivery.message)
                continue
            }
            if delivery.position <= lastPosition { reordered.insert(delivery.message) }
            lastPosition = max(lastPosition, delivery.position)
        }
        seen.formUnion(record.shown[path])
        for (index, message) in record.messages.enumerated()
        where message.path != path && message.answer != nil && !seen.contains(index) {
            missedLive.insert(index)
        }
    }
}
