import Domain
import Testing

/// Somebody with a live connection who keeps one: goes elsewhere when told to, comes back when it breaks, and repeats what
/// was not answered with the same id.
final class Roamer: Sendable {
    let person: Person
    private let web: Web
    /// Messages that were refused, and how.
    let refused = Watched<[Refusal]>([])

    /// How soon a broken connection is tried again.
    private static let pause = Duration.milliseconds(50)
    private static let attempts = 400

    init(_ login: Web.Login, at web: Web) {
        person = Person(login)
        self.web = web
    }

    /// How often a connection had to be made again.
    var reconnects: Int { max(0, person.state.value.welcomes - 1) }

    func connect() async throws { try await person.connect(to: web) }

    /// Keeps the connection until cancelled.
    func roam() async {
        var told = 0
        while !Task.isCancelled {
            let state = person.state.value
            if state.drainings.count > told, let when = state.drainings.last {
                told = state.drainings.count
                try? await Task.sleep(until: when)  // Cancelled only at the end.
                // The connection may have ended already, or end now: both is what is wanted.
                if !Task.isCancelled { try? await person.disconnect() }
            }
            if !person.state.value.isWelcome, !Task.isCancelled {
                // Tried again until it works.
                try? await person.connect(to: web)
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// Sends until it is answered.
    func deliver(_ text: String, to thread: MessageThread.ID, in record: Record) async {
        let id = ClientID.random()
        let invoked = ContinuousClock.now
        var outcome = DeliveryHistory.Outcome.unknown
        for _ in 0..<Self.attempts {
            switch await person.send(text, to: thread, id: id) {
            case .accepted(let position, let number):
                outcome = .acknowledged(position: position, number: number)
            case .refused(let refusal):
                refused.update { $0.append(refusal) }
                fallthrough
            case .none:
                try? await Task.sleep(for: Self.pause)
                continue
            }
            break
        }
        record.add(
            .init(
                id: id, author: person.name, thread: thread, invoked: invoked, answered: .now,
                outcome: outcome))
    }
}
