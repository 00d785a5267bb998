import Domain
import SQLDatabase
import Store
import TestSupport

/// A store with one customer, four users and a registered server, and the shortest way to use them.
struct StoreUnderTest: Sendable {
    let store: Store
    let customer: Customer
    let server: RegisteredServer
    let fence: ServerFence
    let alice: User
    let bob: User
    let carol: User
    let dave: User
    let device = Device.ID.random()

    init(_ database: any SQLDatabase) async throws {
        store = Store(database: database)
        try await store.migrate()
        customer = try await store.addCustomer(named: "Acme")
        server = try await store.register(address: "a:1", version: "1")
        guard let fence = server.fence else { throw StoreError.noSlot("a:1") }
        self.fence = fence
        let (store, id) = (store, customer.id)
        func user(_ login: String, _ name: String) async throws -> User {
            try await store.addUser(login: login, name: name, passwordHash: Sealed("hash"), to: id)
        }
        alice = try await user("alice", "Alice")
        bob = try await user("bob", "Bob")
        carol = try await user("carol", "Carol")
        dave = try await user("dave", "Dave")
    }

    /// A new thread; the first user creates it.
    func thread(_ users: User..., subject: String = "Subject") async throws -> MessageThread.ID {
        let change = ThreadChange.create(.random(), subject: subject, participants: users.map(\.id))
        return try await self.change(change, by: users[0]).thread
    }

    @discardableResult
    func change(
        _ change: ThreadChange, by user: User, clientID: ClientID = .random(), fence: ServerFence? = nil
    ) async throws -> ChangeResult {
        let author = ChangeAuthor(
            customer: customer.id, user: user.id, device: device, clientID: clientID)
        return try await store.change(change, by: author, fence: fence ?? self.fence)
    }

    func message(
        _ text: String, in thread: MessageThread.ID, by user: User, clientID: ClientID = .random(),
        priority: Priority = .normal
    ) -> NewMessage {
        NewMessage(
            thread: thread, author: user.id, device: device, clientID: clientID, priority: priority,
            text: text)
    }

    @discardableResult
    func append(
        _ messages: [NewMessage], receipts: [NewReceipt] = [], fence: ServerFence? = nil
    ) async throws -> AppendResult {
        try await store.append(
            AppendBatch(messages: messages, receipts: receipts), for: customer.id, fence: fence ?? self.fence)
    }

    /// Appends one message.
    @discardableResult
    func say(
        _ text: String, in thread: MessageThread.ID, by user: User, clientID: ClientID = .random()
    ) async throws -> Acceptance {
        try await append([message(text, in: thread, by: user, clientID: clientID)]).outcomes[0].get()
    }

    /// Appends one receipt.
    @discardableResult
    func mark(
        _ thread: MessageThread.ID, by user: User, delivered: EntryNumber = 0, read: EntryNumber = 0
    ) async throws -> [LogEntry] {
        let receipt = NewReceipt(thread: thread, user: user.id, delivered: delivered, read: read)
        return try await append([], receipts: [receipt]).receiptEntries
    }

    var head: LogPosition {
        get async throws { try await store.head(of: customer.id).position }
    }

    /// The whole log, at most 10,000 entries.
    func log() async throws -> [LogEntry] {
        try await store.entries(of: customer.id, after: 0, limit: 10_000)
    }

    /// What a user who resumes after a position gets.
    func seen(by user: User, after: LogPosition = 0, upTo: LogPosition = .max) async throws -> [LogEntry] {
        try await store.entries(for: user.id, of: customer.id, after: after, upTo: upTo, limit: 10_000)
    }

    func view(_ thread: MessageThread.ID, by user: User) async throws -> ThreadView {
        guard let view = try await store.thread(thread, for: user.id, at: customer.id) else {
            throw AppendRefusal.notFound
        }
        return view
    }

    func history(
        _ thread: MessageThread.ID, by user: User, _ page: HistoryPage = .before(nil), limit: Int = 100
    ) async throws -> (entries: [LogEntry], more: Bool) {
        let found = try await store.history(
            of: thread, for: user.id, at: customer.id, page: page, limit: limit)
        guard let found else { throw AppendRefusal.notFound }
        return found
    }
}

/// Runs the body with a store on a new database of the engine.
func withStore(on engine: TestEngine, _ body: (StoreUnderTest) async throws -> Void) async throws {
    try await withDatabase(on: engine) { try await body(StoreUnderTest($0)) }
}

extension AppendOutcome {
    var refusal: AppendRefusal? {
        guard case .failure(let refusal) = self else { return nil }
        return refusal
    }
}

extension LogEntry {
    /// The text of a message; nil for every other entry.
    var text: String? {
        guard case .message(let text, _) = content else { return nil }
        return text.open
    }

    var isReceipts: Bool {
        guard case .receipts = content else { return false }
        return true
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
