import Domain
import Failpoints
import Store
import Synchronization

/// Whether this server may serve: it must be registered, hold a slot, not be superseded, and be in touch with the database.
///
/// A server that cannot prove it is current serves nothing (invariant 4 of ARCHITECTURE.md).
final class ServerStanding: Sendable {
    /// Without contact with the database for so long, the server refuses requests by itself.
    static let contactWithin = Duration.seconds(5)

    /// What a server is at a moment.
    enum Condition: Hashable, Sendable {
        case starting
        case active
        /// It is going: it still serves, and everybody is to go elsewhere.
        case draining
        case degraded(Degradation)
    }

    /// Why a server runs and does not serve.
    enum Degradation: Hashable, Sendable {
        /// No High Availability licence slot is free.
        case unlicensed
        /// Another process registered as this server, or it was removed.
        case superseded
        case noContact
        /// The schema does not suit this version any more.
        case outdated(String)

        var sentence: String {
            switch self {
            case .unlicensed:
                "This server runs in Degraded Mode: it has no High Availability license. Other servers serve."
            case .superseded: "Another process took over this server's place."
            case .noContact: "This server has no contact with its database."
            case .outdated(let reason): "This server is outdated: \(reason)."
            }
        }
    }

    private struct State {
        var identity: ServerIdentity?
        var fence: ServerFence?
        /// The slot that was lost, until that has been told.
        var untoldLoss: ServerFence?
        var lastContact = ContinuousClock.now
        var isSuperseded = false
        var isDraining = false
        var outdated: String?

        /// What it is as far as the database knows: contact with it left aside.
        var known: Condition {
            if isSuperseded { return .degraded(.superseded) }
            guard identity != nil else { return .starting }
            if let outdated { return .degraded(.outdated(outdated)) }
            guard fence != nil else { return .degraded(.unlicensed) }
            return isDraining ? .draining : .active
        }
    }
    private let state = Mutex(State())

    init() {}

    /// Who this server is; nil until it has registered. It stays when the server is superseded.
    var identity: ServerIdentity? { state.withLock { $0.identity } }

    /// The slot that every append proves; nil while the server may not serve.
    var fence: ServerFence? { state.withLock { $0.isSuperseded ? nil : $0.fence } }

    var condition: Condition { condition(at: .now) }

    func condition(at now: ContinuousClock.Instant) -> Condition {
        state.withLock { state in
            let known = state.known
            guard known != .starting, known != .degraded(.superseded),
                now - state.lastContact >= Self.contactWithin
            else { return known }
            return .degraded(.noContact)
        }
    }

    /// What this server says of itself in the database with its next beat.
    var saying: Condition { state.withLock { $0.known } }

    /// Why requests are refused now; nil when they are served.
    var refusal: Refusal? { condition.refusal }

    /// - Parameter began: when it began to register.
    func registered(as server: RegisteredServer, since began: ContinuousClock.Instant) {
        state.withLock { state in
            state.identity = server.identity
            state.fence = server.fence
            state.lastContact = max(state.lastContact, began)
        }
    }

    /// The schema does not suit this version (any more); nil: it does. Answers whether that is new.
    @discardableResult
    func outdated(_ reason: String?) -> Bool {
        state.withLock { state in
            defer { state.outdated = reason }
            return state.outdated != reason
        }
    }

    func draining() { state.withLock { $0.isDraining = true } }

    /// The database answered a statement.
    /// - Parameter sent: when the statement was on its way: an answer proves nothing about later, and a process that
    ///   was stopped may read it long after it came.
    func inTouch(since sent: ContinuousClock.Instant) {
        state.withLock { $0.lastContact = max($0.lastContact, sent) }
    }

    func superseded() {
        #if FAILPOINTS
            // The mutant goes on, whatever it is told.
            if Mutant.current == .leaderWithoutFence { return }
        #endif
        state.withLock { $0.isSuperseded = true }
    }

    /// The slot of this server, as claimed now.
    func holds(_ fence: ServerFence) { state.withLock { $0.fence = fence } }

    /// The database refused this fence, or will: nothing is served under it any more.
    func lost(_ fence: ServerFence) {
        state.withLock { state in
            guard state.fence == fence else { return }
            state.fence = nil
            state.untoldLoss = fence
        }
    }

    var untoldLoss: ServerFence? { state.withLock { $0.untoldLoss } }

    func told(_ loss: ServerFence) {
        state.withLock { state in
            if state.untoldLoss == loss { state.untoldLoss = nil }
        }
    }
}

extension ServerStanding.Condition {
    /// One word for status pages: `active`, `degraded`, `draining` or `starting`.
    var word: String {
        switch self {
        case .starting: "starting"
        case .active: "active"
        case .draining: "draining"
        case .degraded: "degraded"
        }
    }

    /// Why it is not active; empty when it is.
    var sentence: String {
        switch self {
        case .starting: "This server is starting."
        case .active: ""
        case .draining: "This server is going; go to another."
        case .degraded(let why): why.sentence
        }
    }

    /// Why nothing is served; nil when it is.
    var refusal: Refusal? {
        self == .active || self == .draining ? nil : Refusal(.unavailable, sentence)
    }
}
