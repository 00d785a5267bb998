import Domain
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("The log against a model", .serialized)
struct StoreModelTests {
    private static let steps = 150

    @Test(
        "Random requests do on each engine what the model says",
        arguments: TestEngine.allCases, [UInt64(20_261_123), 4_711])
    func random(_ engine: TestEngine, seed: UInt64) async throws {
        try await withStore(on: engine) { test in
            var player = try await Player(test, seed: seed)
            for _ in 0..<Self.steps { try await player.step() }
            try await player.compare()
        }
    }
}

/// Does the same random things to a store and to the model.
private struct Player {
    private let test: StoreUnderTest
    private let users: [User]
    private var random: SeededGenerator
    private var model = LogModel()
    private var threads: [MessageThread.ID] = []
    /// Requests made before, to repeat and to misuse.
    private var sent: [(message: NewMessage, author: Int)] = []
    private var changes: [(change: ThreadChange, author: Int, id: ClientID)] = []

    init(_ test: StoreUnderTest, seed: UInt64) async throws {
        self.test = test
        users = [test.alice, test.bob, test.carol, test.dave]
        random = SeededGenerator(seed: seed)
        for _ in 0..<3 { try await create() }
    }

    mutating func step() async throws {
        switch Int.random(in: 0..<100, using: &random) {
        case ..<40: try await sendBatch()
        case ..<58: try await markBatch()
        case ..<60: try await create()
        case ..<74: try await change(.addParticipants(anyThread(), someUsers().map { users[$0].id }))
        case ..<84: try await change(.leave(anyThread()))
        case ..<94: try await change(.recall(anyThread(), .random(in: 0...20, using: &random)))
        default: try await repeatChange()
        }
        let head = try await test.head
        #expect(head == model.head)
    }

    private mutating func anyThread() -> MessageThread.ID {
        threads.randomElement(using: &random) ?? .random()
    }
    private mutating func anyUser() -> Int { Int.random(in: users.indices, using: &random) }
    private mutating func someUsers() -> [Int] {
        let shuffled = Array(users.indices).shuffled(using: &random)
        return Array(shuffled.prefix(Int.random(in: 1...3, using: &random)))
    }

    private mutating func sendBatch() async throws {
        var batch: [(message: NewMessage, author: Int)] = []
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            let author = anyUser()
            if let old = sent.randomElement(using: &random), Int.random(in: 0..<5, using: &random) == 0 {
                // Half of them exact repeats, half of them other texts under the same id.
                let text = Bool.random(using: &random) ? old.message.text : "other"
                let message = test.message(
                    text, in: old.message.thread, by: users[old.author], clientID: old.message.clientID)
                if !batch.contains(where: { $0.message.clientID == message.clientID }) {
                    batch.append((message, old.author))
                }
            } else {
                batch.append((test.message("text", in: anyThread(), by: users[author]), author))
            }
        }
        let result = try await test.append(batch.map(\.message))
        for ((message, author), outcome) in zip(batch, result.outcomes) {
            let expected = model.send(message, by: author)
            #expect(LogModel.Answer(outcome) == expected)
        }
        sent += batch
    }

    private mutating func markBatch() async throws {
        var marks: [(thread: MessageThread.ID, user: Int, delivered: Int64, read: Int64)] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let (thread, user) = (anyThread(), anyUser())
            guard !marks.contains(where: { $0.thread == thread && $0.user == user }) else { continue }
            marks.append(
                (thread, user, .random(in: -1...40, using: &random), .random(in: -1...40, using: &random)))
        }
        try await test.append(
            [],
            receipts: marks.map {
                NewReceipt(thread: $0.thread, user: users[$0.user].id, delivered: $0.delivered, read: $0.read)
            })
        model.mark(marks)
    }

    private mutating func create() async throws {
        try await change(.create(.random(), subject: "", participants: someUsers().map { users[$0].id }))
    }

    private mutating func repeatChange() async throws {
        guard let old = changes.randomElement(using: &random) else { return }
        let isSame = Bool.random(using: &random)
        try await make(isSame ? old.change : .recall(anyThread(), 77), by: old.author, id: old.id)
    }

    private mutating func change(_ change: ThreadChange) async throws {
        let (author, id) = (anyUser(), ClientID.random())
        changes.append((change, author, id))
        try await make(change, by: author, id: id)
    }

    private mutating func make(_ change: ThreadChange, by author: Int, id: ClientID) async throws {
        let answer: LogModel.Answer
        do {
            let result = try await test.change(change, by: users[author], clientID: id)
            answer = LogModel.Answer(.success(result.acceptance))
            if !threads.contains(result.thread) { threads.append(result.thread) }
        } catch let refusal as AppendRefusal {
            answer = .refused(refusal)
        }
        let expected = expected(change, by: author, id: id)
        #expect(answer == expected)
    }

    private mutating func expected(_ change: ThreadChange, by author: Int, id: ClientID) -> LogModel.Answer {
        // Any number that differs where the request does will do for the model.
        let hash = Int64("\(change)".hashValue)
        func indices(_ ids: [User.ID]) -> [Int] { users.indices.filter { ids.contains(users[$0].id) } }
        switch change {
        case .create(let thread, _, let ids):
            let all = Set(indices(ids)).union([author]).sorted()
            return model.create(thread, all, by: author, id: id, hash: hash)
        case .addParticipants(let thread, let ids):
            return model.add(indices(ids), to: thread, by: author, id: id, hash: hash)
        case .leave(let thread): return model.leave(thread, by: author, id: id, hash: hash)
        case .recall(let thread, let number):
            return model.recall(number, in: thread, by: author, id: id, hash: hash)
        }
    }

    /// Compares everything that is stored with the model.
    func compare() async throws {
        let log = try await test.log()
        #expect(log.map(\.position) == Array(1...model.head))
        for (thread, expected) in model.threads {
            let shown = log.filter { $0.thread == thread && $0.number != nil }
            #expect(shown.map(\.number) == Array(1...expected.last))
            #expect(shown.map(\.position) == expected.lines.map(\.position))
            #expect(shown.map { $0.text != nil } == expected.lines.map(\.isMessage))
            for (index, user) in users.enumerated() {
                try await compare(thread, expected, of: index, user)
            }
        }
    }

    private func compare(
        _ thread: MessageThread.ID, _ expected: LogModel.Thread, of index: Int, _ user: User
    ) async throws {
        let view = try await test.store.thread(thread, for: user.id, at: test.customer.id)
        guard let place = expected.places[index] else {
            #expect(view == nil)
            return
        }
        let visible = place.visible(upTo: expected.last)
        #expect(view?.delivered == place.delivered)
        #expect(view?.read == place.read)
        #expect(view?.leftNumber == place.left)
        #expect(view?.unread == Int64(visible.count { $0 > place.read }))
        let stays = view?.participants.first { $0.user.id == user.id }?.earlier
        #expect(stays?.map { $0.joined...$0.left } == place.earlier)
        let history = try await test.history(thread, by: user).entries.compactMap(\.number)
        #expect(history == Array(visible.suffix(100)))
        for page in [2, 7] { try await comparePages(thread, visible, of: user, limit: page) }
        let caughtUp = try await test.seen(by: user).filter { $0.thread == thread }.compactMap(\.number)
        #expect(caughtUp == visible)
    }

    /// Page after page from both ends.
    private func comparePages(
        _ thread: MessageThread.ID, _ visible: [EntryNumber], of user: User, limit: Int
    ) async throws {
        var (down, up): ([EntryNumber], [EntryNumber]) = ([], [])
        var hasMore = true
        while hasMore {
            let page = try await test.history(thread, by: user, .before(down.first), limit: limit)
            down = page.entries.compactMap(\.number) + down
            hasMore = page.more && down.count <= visible.count
        }
        #expect(down == visible)
        hasMore = true
        while hasMore {
            let page = try await test.history(thread, by: user, .after(up.last ?? 0), limit: limit)
            up += page.entries.compactMap(\.number)
            hasMore = page.more && up.count <= visible.count
        }
        #expect(up == visible)
    }
}

extension LogModel.Answer {
    fileprivate init(_ outcome: AppendOutcome) {
        switch outcome {
        case .success(let place): self = .place(place.position, place.number, replayed: place.replayed)
        case .failure(let refusal): self = .refused(refusal)
        }
    }
}
