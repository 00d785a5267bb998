import NIOCore

/// Something that must make progress before a moment, else it is told.
protocol DeadlineKeeper: AnyObject {
    /// When `deadlinePassed` is due; nil: not at present.
    var deadline: NIODeadline? { get }
    /// Called on the event loop, once for each pass of the sweep that finds the deadline behind it.
    func deadlinePassed()
}

/// Looks twice a second at everything on one event loop that has a deadline, so that connections need no timers.
///
/// What has no deadline is not watched: an idle live connection costs nothing. Used on its event loop only.
final class DeadlineSweep {
    /// How late a deadline may be noticed.
    static let pace = TimeAmount.milliseconds(500)

    private let eventLoop: any EventLoop
    private var keepers: [ObjectIdentifier: any DeadlineKeeper] = [:]
    private var isScheduled = false

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Starts to look at `keeper`; again is harmless.
    func watch(_ keeper: any DeadlineKeeper) {
        keepers[ObjectIdentifier(keeper)] = keeper
        schedule()
    }

    /// Stops to look at `keeper`; again is harmless.
    func forget(_ keeper: any DeadlineKeeper) {
        keepers[ObjectIdentifier(keeper)] = nil
    }

    private func schedule() {
        guard !isScheduled else { return }
        isScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: Self.pace) { self.pass() }
    }

    private func pass() {
        isScheduled = false
        let now = NIODeadline.now()
        for keeper in Array(keepers.values) {
            if let deadline = keeper.deadline, deadline <= now { keeper.deadlinePassed() }
        }
        if !keepers.isEmpty { schedule() }
    }
}
