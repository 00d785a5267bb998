import ASMClient
import Domain
import Synchronization

/// The record of a running drill, written by all its paths at once.
final class DrillLedger: Sendable {
    /// More connections than these are counted, but not kept one by one.
    private static let endLimit = 10_000

    /// How a path is doing right now.
    struct Standing: Sendable {
        var route: DrillRecord.Route?
        var isConnected = false
        var wasConnected = false
        var unanswered = 0
        /// Since when something waits and nothing was answered.
        var waitingSince: Duration?
        /// Why the path cannot go on.
        var failure: String?
        /// Set when a server does not know what a route is.
        var isTooOld = false
    }

    private struct State {
        var record: DrillRecord
        var standings: [Standing]
        var indices: [ClientID: Int] = [:]
        var sequences: [Int]
        var start: ContinuousClock.Instant?
        var thread: MessageThread.ID?
    }

    private let state: Mutex<State>
    private let webs: [WebAddress]

    init(plan: DrillPlan, webs: [WebAddress], paths: [DrillRecord.Path]) {
        self.webs = webs
        state = Mutex(
            State(
                record: DrillRecord(plan: plan, webs: webs.map(\.description), paths: paths),
                standings: paths.map { _ in Standing() }, sequences: paths.map { _ in 0 }))
    }

    var record: DrillRecord { state.withLock { $0.record } }
    var standings: [Standing] { state.withLock { $0.standings } }
    /// The time of the drill; zero until it begins.
    var now: Duration { state.withLock { Self.now($0) } }

    func change(_ change: (inout DrillRecord) -> Void) { state.withLock { change(&$0.record) } }

    func use(_ thread: MessageThread.ID) { state.withLock { $0.thread = thread } }

    /// Begins the drill's time.
    func begin() -> ContinuousClock.Instant {
        state.withLock { state in
            let start = ContinuousClock.now
            state.start = start
            state.record.startedAtMilliseconds = WallClock.milliseconds()
            for path in state.standings.indices {
                guard let route = state.standings[path].route else { continue }
                state.record.routes.append(.init(path: path, at: .zero, what: route))
            }
            return start
        }
    }

    func end() { state.withLock { $0.record.length = Self.now($0) } }

    /// Notes that the drill was cut short, where it was not noted before.
    func stopped() {
        state.withLock { state in
            if state.record.stoppedAfter == nil { state.record.stoppedAfter = Self.now(state) }
        }
    }

    /// Notes a message before it leaves; its sequence.
    func sends(_ id: ClientID, on path: Int) -> Int {
        state.withLock { state in
            let now = Self.now(state)
            state.sequences[path] += 1
            state.indices[id] = state.record.messages.count
            state.record.messages.append(
                .init(path: path, sequence: state.sequences[path], sentAt: now))
            state.standings[path].unanswered += 1
            if state.standings[path].waitingSince == nil { state.standings[path].waitingSince = now }
            return state.sequences[path]
        }
    }

    /// A message that could not even be queued.
    func wasNotSent(_ id: ClientID, on path: Int, because reason: String) {
        state.withLock { Self.refused(id, on: path, reason, &$0) }
    }

    func failed(_ path: Int, _ reason: String) {
        state.withLock { $0.standings[path].failure = reason }
    }

    func acted(_ text: String) {
        state.withLock { $0.record.actions.append(.init(at: Self.now($0), text: text)) }
    }

    /// The index of one of the drill's messages.
    func message(_ id: ClientID?) -> Int? { id.flatMap { id in state.withLock { $0.indices[id] } } }

    func heard(_ observation: ClientObservation, on path: Int) {
        state.withLock { state in
            switch observation {
            case .frame(let frame, let address): heard(frame, from: address, on: path, &state)
            case .stored(let id, let receipt):
                guard let index = state.indices[id], state.record.messages[index].answer == nil else {
                    return
                }
                let now = Self.now(state)
                state.record.messages[index].answer = .init(
                    at: now, position: receipt.position, number: receipt.number,
                    route: state.standings[path].route)
                Self.answered(path, at: now, &state)
            case .refused(let id, let error): Self.refused(id, on: path, error.code, &state)
            case .postponed(let id):
                if let index = state.indices[id] { state.record.messages[index].wasPostponed = true }
            case .ended(_, let reason):
                state.standings[path].isConnected = false
                guard state.start != nil, state.record.ends.count < Self.endLimit else { return }
                state.record.ends.append(.init(path: path, at: Self.now(state), what: reason))
            }
        }
    }

    /// Entries as an app gets them.
    func shown(_ entries: [Entry], on path: Int) {
        state.withLock { state in
            for entry in entries {
                guard let id = entry.messageID?.id, let index = state.indices[id] else { continue }
                state.record.shown[path].insert(index)
            }
        }
    }

    private func heard(
        _ frame: ServerFrame, from address: WebAddress, on path: Int, _ state: inout State
    ) {
        switch frame {
        case .welcome:
            state.standings[path].route = nil
            state.standings[path].isConnected = true
            if state.standings[path].wasConnected, state.start != nil {
                let web = webs.firstIndex(of: address) ?? 0
                state.record.reconnects.append(.init(path: path, at: Self.now(state), what: web))
            }
            state.standings[path].wasConnected = true
        case .route(let webName, let server):
            let route = DrillRecord.Route(
                web: webs.firstIndex(of: address) ?? 0, webName: webName, server: server)
            state.standings[path].route = route
            guard state.start != nil else { return }
            state.record.routes.append(.init(path: path, at: Self.now(state), what: route))
        case .refused(nil, let refusal) where refusal.code == .unknownFrame:
            state.standings[path].isTooOld = true
        case .entries(_, let entries):
            let now = Self.now(state)
            for entry in entries where entry.thread == state.thread {
                guard let id = entry.clientID, let index = state.indices[id] else { continue }
                state.record.deliveries[path].append(
                    .init(message: index, position: entry.position, at: now))
            }
        default: break
        }
    }

    private static func now(_ state: State) -> Duration { state.start.map { .now - $0 } ?? .zero }

    private static func answered(_ path: Int, at now: Duration, _ state: inout State) {
        state.standings[path].unanswered -= 1
        state.standings[path].waitingSince = state.standings[path].unanswered > 0 ? now : nil
    }

    private static func refused(_ id: ClientID, on path: Int, _ reason: String, _ state: inout State) {
        guard let index = state.indices[id], state.record.messages[index].refusal == nil else { return }
        state.record.messages[index].refusal = reason
        answered(path, at: now(state), &state)
    }
}
