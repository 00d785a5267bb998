import Domain
import Store
import Synchronization

/// Whether this server may serve: it must be registered, not superseded, and in touch with the database.
///
/// A server that cannot prove it is current serves nothing (invariant 6 of the design).
final class ServerStanding: Sendable {
    /// Without contact with the database for so long, the server refuses requests by itself.
    static let contactWithin = Duration.seconds(5)

    private struct State {
        var fence: ServerFence?
        var lastContact = ContinuousClock.now
        var isSuperseded = false
    }
    private let state = Mutex(State())

    init() {}

    /// The identity that every append proves; nil while the server may not serve.
    var fence: ServerFence? { state.withLock { $0.isSuperseded ? nil : $0.fence } }

    /// Why requests are refused now; nil when they are served.
    var refusal: Refusal? {
        state.withLock { state in
            if state.isSuperseded {
                return Refusal(.unavailable, "Another process took over this server's address.")
            }
            if state.fence == nil { return Refusal(.unavailable, "This server is starting.") }
            guard ContinuousClock.now - state.lastContact < Self.contactWithin else {
                return Refusal(.unavailable, "This server has no contact with its database.")
            }
            return nil
        }
    }

    /// One word for status pages: `active`, `degraded` or `starting`.
    var word: String {
        state.withLock { state in
            if state.isSuperseded { return "degraded" }
            if state.fence == nil { return "starting" }
            return ContinuousClock.now - state.lastContact < Self.contactWithin ? "active" : "degraded"
        }
    }

    func registered(as fence: ServerFence) {
        state.withLock { state in
            state.fence = fence
            state.lastContact = .now
        }
    }

    func inTouch() { state.withLock { $0.lastContact = .now } }
    func superseded() { state.withLock { $0.isSuperseded = true } }
}
