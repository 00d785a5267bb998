import DequeModule
import Domain

/// What one session has not been sent yet, in the order of the log: references to deliveries, which sessions share.
///
/// Used on its session's event loop only. Whoever empties it gives back what it holds of the budget.
struct LiveBacklog {
    /// The session's items of one delivery.
    struct Piece: LiveItems {
        let delivery: LiveDelivery
        let items: [Int32]
        private(set) var passed = 0

        init(delivery: LiveDelivery, items: [Int32]) {
            self.delivery = delivery
            self.items = items
        }

        var item: Int? { passed < items.count ? Int(items[passed]) : nil }

        var left: ArraySlice<Int32> { items[passed...] }

        mutating func advance() { passed += 1 }
    }

    private var pieces = Deque<Piece>()
    /// Entries and receipts that wait, and about how many bytes they are, as `LogEntry.textBytes` counts.
    private(set) var count = 0
    private(set) var bytes = 0
    /// Where the client will stand when it has got everything.
    private(set) var end: LogCursor?

    var isEmpty: Bool { pieces.isEmpty }

    /// Adds what is left of a delivery's items; it must not be nothing.
    mutating func append(_ rest: LiveDelivery.Rest, of delivery: LiveDelivery) {
        pieces.append(Piece(delivery: delivery, items: rest.items))
        count += rest.items.count
        bytes += rest.bytes
        end = delivery.cursor(after: rest.last)
    }

    /// Takes out what is next, to be sent as far as there is room and then put back.
    mutating func takeFirst() -> Piece? {
        guard let piece = pieces.popFirst() else { return nil }
        for item in piece.left { pass(piece.delivery.items[Int(item)], by: -1) }
        return piece
    }

    /// Puts back what is left of a piece that was taken out.
    mutating func putBack(_ piece: Piece) {
        for item in piece.left { pass(piece.delivery.items[Int(item)], by: 1) }
        pieces.prepend(piece)
    }

    private mutating func pass(_ item: LiveDelivery.Item, by sign: Int) {
        count += sign
        bytes += sign * item.textBytes
    }

    mutating func removeAll(budget: BacklogBudget) {
        for piece in pieces { budget.release(piece.delivery, items: piece.items.count) }
        self = LiveBacklog()
    }
}

extension LiveDelivery {
    /// What is left of one session's items: those that are shown.
    struct Rest {
        var items: [Int32] = []
        var bytes = 0
        /// The last item, shown or not.
        var last = 0

        init(_ left: some LiveItems, of delivery: LiveDelivery) {
            var left = left
            while let index = left.item {
                left.advance()
                let item = delivery.items[index]
                last = index
                if case .hidden = item.content { continue }
                items.append(Int32(index))
                bytes += item.textBytes
            }
        }
    }
}
