import Domain

/// The messages that were given to the client and not answered yet, in order.
///
/// They are sent in order, at most `window` at a time without an answer; after a reconnect or an
/// `unavailable` they are repeated in order with the same ids, so that each is stored exactly once. One that makes a
/// server close the connection is found out and given up: the rest must not wait for it for ever.
struct Outbox: Sendable {
    struct Item: Hashable, Sendable {
        let id: ClientID
        let thread: MessageThread.ID
        let text: Sealed<String>
        let priority: Priority
    }

    private struct Slot {
        let item: Item
        /// Set while the item is on its way.
        var ref: Int64?
    }

    let limit: Int
    let window: Int
    private var slots: [Slot] = []
    private var lastRef: Int64 = 0
    private(set) var inFlight = 0
    /// Set when the server asked to wait: nothing is sent until then, nor until everything on its way was
    /// answered and `resume` came.
    private(set) var heldUntil: ContinuousClock.Instant?
    /// What was on its way when a server closed the connection because of a frame, and how often it was so alone.
    private var suspects: [ClientID: Int] = [:]
    /// So often a message must have been the only one on its way to be given up.
    private static let proofs = 2
    var isHeld: Bool { heldUntil != nil }

    init(limit: Int, window: Int) {
        self.limit = limit
        self.window = window
    }

    var items: [Item] { slots.map(\.item) }
    var count: Int { slots.count }
    var isFull: Bool { slots.count >= limit }

    /// Adds a message at the end; false when the outbox is full.
    mutating func add(_ item: Item) -> Bool {
        guard !isFull else { return false }
        slots.append(Slot(item: item))
        return true
    }

    /// Takes back the message added last, which could not be made safe.
    mutating func removeLast() { slots.removeLast() }

    /// The frames to send now; they count as on their way from here on.
    mutating func takeFrames() -> [SendFrame] {
        // While one of several may be what no server takes, each goes by itself, so that it shows which.
        let window = suspects.isEmpty ? window : 1
        guard !isHeld, inFlight < window, inFlight < slots.count else { return [] }
        var frames: [SendFrame] = []
        for index in slots.indices where slots[index].ref == nil {
            guard inFlight < window else { break }
            lastRef += 1
            slots[index].ref = lastRef
            inFlight += 1
            let item = slots[index].item
            frames.append(
                SendFrame(
                    ref: FrameRef(lastRef), clientID: item.id, thread: item.thread, text: item.text,
                    priority: item.priority))
        }
        return frames
    }

    /// Removes what was answered for good; nil when nothing on its way has that reference.
    mutating func finish(ref: FrameRef) -> Item? {
        guard let index = index(of: ref) else { return nil }
        inFlight -= 1
        return remove(at: index)
    }

    /// Keeps what the server could not take, and holds everything back until `resume`; nil when nothing on its way
    /// has that reference.
    mutating func postpone(ref: FrameRef, until time: ContinuousClock.Instant) -> Item? {
        guard let index = index(of: ref) else { return nil }
        slots[index].ref = nil
        inFlight -= 1
        heldUntil = max(heldUntil ?? time, time)
        return slots[index].item
    }

    /// Sends again after a pause; false while it lasts or answers are still to come.
    mutating func resume(at now: ContinuousClock.Instant) -> Bool {
        guard let heldUntil else { return true }
        guard inFlight == 0, now >= heldUntil else { return false }
        self.heldUntil = nil
        return true
    }

    /// Notes that the server closed the connection because of something that was on its way; the message to give up when
    /// it is clear which one that was.
    mutating func blame() -> Item? {
        let sent = slots.indices.filter { slots[$0].ref != nil }
        for index in sent { suspects[slots[index].item.id, default: 0] += sent.count == 1 ? 1 : 0 }
        guard sent.count == 1, suspects[slots[sent[0]].item.id, default: 0] >= Self.proofs else { return nil }
        inFlight -= 1
        return remove(at: sent[0])
    }

    private mutating func remove(at index: Int) -> Item {
        let item = slots.remove(at: index).item
        suspects[item.id] = nil
        return item
    }

    /// Forgets what was on its way: the connection is gone, everything is to be repeated.
    mutating func connectionLost() {
        for index in slots.indices { slots[index].ref = nil }
        inFlight = 0
        heldUntil = nil
    }

    /// How many messages of a thread are unanswered.
    func unanswered(in thread: MessageThread.ID) -> Int {
        slots.reduce(0) { $0 + ($1.item.thread == thread && $1.ref != nil ? 1 : 0) }
    }

    private func index(of ref: FrameRef) -> Int? {
        guard let number = ref.number else { return nil }
        return slots.firstIndex { $0.ref == number }
    }
}
