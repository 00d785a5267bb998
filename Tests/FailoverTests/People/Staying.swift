import Domain

@testable import ASMClient
@testable import SystemSupport

extension SystemSupport.Person {
    /// How long a connection may take until its welcome.
    private static let welcomeTime = Duration.seconds(10)

    /// Stays connected as the product's clients do: after each end again, with their pauses; until cancelled.
    func stay(at web: Web) async {
        var backoff = Backoff()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            if await isWelcome(at: web) {
                backoff.reset()
                // Waits for the end, however long that takes; cancelled when the row is over.
                _ = try? await state.until("the connection should end", within: .seconds(3_600)) {
                    $0.isWelcome ? nil : true
                }
            }
            // Cancelled when the row is over.
            try? await Task.sleep(for: backoff.next(using: &random))
        }
        state.value.connection?.close()
    }

    private func isWelcome(at web: Web) async -> Bool {
        let ends = state.value.ends.count
        do {
            try await open(to: web)
            return try await state.until("the welcome should come", within: Self.welcomeTime) { state in
                state.isWelcome ? true : state.ends.count > ends ? false : nil
            }
        } catch {
            state.value.connection?.close()
            return false
        }
    }

    /// Sends a message until it is stored or refused for good, over as many connections as that takes.
    func insist(_ text: String, to thread: MessageThread.ID, in record: Record, for limit: Duration) async {
        let id = ClientID.random()
        let invoked = ContinuousClock.now
        var outcome = DeliveryHistory.Outcome.unknown
        while ContinuousClock.now - invoked < limit, outcome == .unknown {
            switch await send(text, to: thread, id: id) {
            case .accepted(let position, let number):
                outcome = .acknowledged(position: position, number: number)
            case .refused(let refusal) where refusal.code == .unavailable || refusal.code == .tooManyRequests:
                let asked = Backoff.asked(milliseconds: refusal.retryAfterMilliseconds)
                // As the product's client does; cancelled when the row is over.
                try? await Task.sleep(for: max(Backoff.shortest, asked))
            case .refused: outcome = .refused
            case .none:
                // Not being welcome in time ends the loop.
                _ = try? await state.until("the next welcome should come", within: limit) {
                    $0.isWelcome ? true : nil
                }
            }
        }
        record.add(
            .init(id: id, author: name, thread: thread, invoked: invoked, answered: .now, outcome: outcome))
    }
}
