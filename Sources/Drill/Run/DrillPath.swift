import ASMClient
import Domain
import Synchronization
import Synthetic

/// One session of a drill: somebody who sends at a steady pace and reads what the others send.
///
/// It is the client that people have, with its reconnecting and its outbox; the drill only listens in.
final class DrillPath: Sendable {
    /// Messages that may wait: beyond it nothing more is sent on this path.
    private static let outboxLimit = 20_000

    let index: Int
    let account: SyntheticAccount
    private let configuration: ClientConfiguration
    private let ledger: DrillLedger
    private struct State {
        var client: MessagingClient?
        var restart: AsyncStream<Void>.Continuation?
    }
    private let state = Mutex(State())

    /// - Parameter configuration: whose first address is the one to begin with.
    init(
        index: Int, account: SyntheticAccount, configuration: ClientConfiguration, ledger: DrillLedger
    ) {
        self.index = index
        self.account = account
        self.ledger = ledger
        var configuration = configuration
        configuration.outboxLimit = Self.outboxLimit
        configuration.observe = { [ledger] observation in ledger.heard(observation, on: index) }
        self.configuration = configuration
    }

    /// Keeps a client going until cancelled; `restart` makes a new one.
    func run() async throws {
        while true {
            try Task.checkCancellation()
            let client = try MessagingClient(configuration: configuration, token: account.token.open)
            let (restarts, restart) = AsyncStream.makeStream(
                of: Void.self, bufferingPolicy: .bufferingNewest(1))
            state.withLock { $0 = State(client: client, restart: restart) }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await client.run() }
                tasks.addTask { [ledger, index] in
                    for await event in client.events {
                        if case .entries(let entries) = event { ledger.shown(entries, on: index) }
                    }
                    // Whoever ended the client says why.
                    try await Task.sleep(for: .seconds(60))
                }
                tasks.addTask { for await _ in restarts { return } }
                let result = await tasks.nextResult()
                tasks.cancelAll()
                if case .failure(let error) = result, !(error is CancellationError) {
                    ledger.failed(index, "\(error)")
                    throw error
                }
            }
        }
    }

    /// Connects anew, perhaps to another ASM Service.
    func restart() { state.withLock { $0.restart }?.yield() }

    /// Sends messages at a steady pace whatever becomes of them.
    /// - Parameters:
    ///   - count: how many of all paths together.
    func send(
        _ count: Int, of paths: Int, rate: Double, in thread: ThreadID, from start: ContinuousClock.Instant
    ) async throws {
        for message in stride(from: index, to: count, by: paths) {
            try await Task.sleep(until: start + .seconds(Double(message) / rate))
            try await sendOne(in: thread)
        }
    }

    func sendOne(in thread: ThreadID) async throws {
        guard let client = state.withLock({ $0.client }) else { return }
        let id = MessagingClient.newID()
        let sequence = ledger.sends(id, on: index)
        do {
            try await client.enqueue(
                "asm drill: message \(sequence) of \(account.login)", in: thread, id: id)
        } catch let error as MessagingError {
            ledger.wasNotSent(id, on: index, because: error.code)
        }
    }
}
