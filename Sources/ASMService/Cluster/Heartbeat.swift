import Domain
import Logging
import Observability
import SQLDatabase
import ServiceLifecycle
import Store
import Synchronization

/// Registers this server, then says each second that it is alive, and learns whether it still holds its place.
///
/// With each beat the database answers which slot this server holds. One without a slot runs in Degraded Mode and tries to
/// claim one at every beat, so that it serves within a second when one becomes free.
final class Heartbeat: Service {
    /// What one run of beats remembers.
    fileprivate struct Pace {
        var lastActiveAt: ContinuousClock.Instant?
        var lastBeatAt: ContinuousClock.Instant?
        /// Since when the beats have come without a gap.
        var steadySince: ContinuousClock.Instant?
    }

    let store: Store
    let standing: ServerStanding
    let version: String
    let times: ClusterTimes
    private let failures: Counter
    private let whenDrainRequested: @Sendable () -> Void
    private let pace = Mutex(Pace())

    /// - Parameter whenDrainRequested: called with each beat that says so.
    init(
        store: Store, standing: ServerStanding, version: String, times: ClusterTimes,
        metrics: MetricRegistry = MetricRegistry(), whenDrainRequested: @escaping @Sendable () -> Void
    ) {
        self.store = store
        self.standing = standing
        self.version = version
        self.times = times
        failures = metrics.counter(.heartbeatFailures)
        self.whenDrainRequested = whenDrainRequested
    }

    /// Registers this process under a name; an older process of that name serves nothing from here on.
    func register(as name: String) async throws {
        let began = ContinuousClock.now
        let server = try await store.register(address: name, version: version, times: times)
        standing.registered(as: server, since: began)
        pace.withLock { $0.lastActiveAt = .now }
        if server.fence == nil {
            Logger.current.error(
                "This server runs in Degraded Mode: no High Availability license is free",
                metadata: ["server.address": "\(name)"])
        }
    }

    /// Beats until cancelled: a server that is going has to prove itself to its end.
    func run() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: times.beatEvery)
            await beat()
        }
    }

    /// Gives the slot back, so that another server can take it at once, and says that this one stopped in order.
    func stop() async {
        guard let identity = standing.identity, standing.saying != .degraded(.superseded) else { return }
        do { try await store.stopped(identity) } catch {
            Logger.current.warning(
                "The database was not told that this server stopped", metadata: ["error": "\(error)"])
        }
    }

    func beat() async {
        guard let identity = standing.identity, standing.saying != .degraded(.superseded) else { return }
        let began = ContinuousClock.now
        let isActive = pace.withLock { pace in
            pace.lastActiveAt.map { began - $0 >= times.lastActiveEvery } ?? true
        }
        let saying = standing.saying
        do {
            let answer = try await store.beat(
                identity, state: saying.word, reason: saying.sentence, isActive: isActive)
            guard let answer else { return supersede() }
            standing.inTouch(since: began)
            if answer.isDrainRequested { whenDrainRequested() }
            let steady = pace.withLock { pace in
                if isActive { pace.lastActiveAt = began }
                return pace.beaten(at: .now, gap: times.gapAfter)
            }
            if answer.slotsExceedLimit {
                // A busy server stops by itself first: its own appends would hold up the loss of its slot.
                if let fence = answer.fence, fence.slot > answer.slotLimit { lose(fence) }
                try await store.enforceSlotLimit(times: times)
            }
            try await follow(answer, as: identity)
            if answer.hasIncident { try await closeIncidents(of: identity, steadyFor: steady) }
        } catch is CancellationError {
        } catch StoreError.superseded {
            supersede()
        } catch SQLError.diskFull(let reason) {
            await goOnReading(as: identity, reason)
        } catch {
            failures.add()
            Logger.current.warning("Heartbeat failed", metadata: ["error": "\(error)"])
        }
    }

    /// On a full disk nobody can write, so nobody can take this server's place: it goes on serving what can be read.
    private func goOnReading(as identity: ServerIdentity, _ reason: String) async {
        Logger.current.error(
            "The database's disk is full: messages are refused, reading goes on",
            metadata: ["error": "\(reason)"])
        let began = ContinuousClock.now
        guard let fence = standing.fence else { return }
        // Failing means: no contact with the database, which the standing notices by itself.
        if let isCurrent = try? await store.holds(fence, as: identity), isCurrent {
            standing.inTouch(since: began)
        }
    }

    private func supersede() {
        standing.superseded()
        Logger.current.error("Another process registered at this server's address; this one serves nothing")
    }

    /// Takes over what the database says about this server's slot, and claims one when there is none.
    private func follow(_ answer: BeatAnswer, as identity: ServerIdentity) async throws {
        if let held = standing.fence, held != answer.fence { lose(held) }
        guard standing.fence == nil else { return }
        let lost = standing.untoldLoss
        let fence = try await store.claimSlot(identity, lost: lost, times: times)
        if let lost { standing.told(lost) }
        guard let fence else { return }
        standing.holds(fence)
        Logger.current.notice(
            "This server has a High Availability license slot and serves",
            metadata: ["server.slot": "\(fence.slot)"])
    }

    private func lose(_ fence: ServerFence) {
        standing.lost(fence)
        Logger.current.error(
            "This server has lost its High Availability license slot",
            metadata: ["server.slot": "\(fence.slot)"])
    }

    private func closeIncidents(of identity: ServerIdentity, steadyFor steady: Duration) async throws {
        var over: Set<IncidentKind> = []
        if steady >= times.unreachableAfter { over.insert(.unreachable) }
        if steady >= times.stableFor { over.insert(.inactive) }
        if !over.isEmpty { try await store.closeIncidents(over, of: identity) }
    }
}

extension Heartbeat.Pace {
    /// Notes a beat that succeeded.
    /// - Returns: for how long beats have come without a gap.
    fileprivate mutating func beaten(at now: ContinuousClock.Instant, gap: Duration) -> Duration {
        if let last = lastBeatAt, now - last > gap { steadySince = nil }
        lastBeatAt = now
        let since = steadySince ?? now
        steadySince = since
        return now - since
    }
}
