import Domain
import NIOCore
import Synchronization

/// Frames on their way from the event loop to the client's task; when full, reading from the network stops.
final class FrameQueue: Sendable {
    enum Signal: Sendable {
        case frame(ServerFrame)
        /// A time that was asked for has come.
        case tick
        case closed(LiveEnd)
    }

    /// How many frames may wait before reading stops.
    static let limit = 1_024

    private struct State {
        var signals: [Signal] = []
        var isEnded = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Adds a signal; true when the queue is full now.
    @discardableResult
    func push(_ signal: Signal) -> Bool {
        let (waiter, isFull) = state.withLock { state in
            state.signals.append(signal)
            defer { state.waiter = nil }
            return (state.waiter, state.signals.count >= Self.limit)
        }
        waiter?.resume()
        return isFull
    }

    /// Wakes the consumer for good: it was cancelled.
    private func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Waits for signals and takes all there are; none when the caller was cancelled.
    func next() async -> [Signal] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.signals.isEmpty, !state.isEnded else { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            end()
        }
        return state.withLock { state in
            defer { state.signals = [] }
            return state.isEnded ? [] : state.signals
        }
    }
}

/// The client's end of a live connection on the event loop: says hello, queues frames, pings on silence.
final class LiveLink: LiveHandler {
    private let queue: FrameQueue
    private let hello: ClientFrame
    private let silence: TimeAmount
    private let answerTime: TimeAmount
    private var outlet: LiveOutlet?
    private var lastHeard = NIODeadline.now()
    private var isFull = false

    init(queue: FrameQueue, hello: ClientFrame, configuration: ClientConfiguration) {
        self.queue = queue
        self.hello = hello
        silence = TimeAmount(configuration.silence)
        answerTime = TimeAmount(configuration.answerTime)
    }

    func opened(_ outlet: LiveOutlet) {
        self.outlet = outlet
        lastHeard = .now()
        outlet.send(hello)
        // Until the welcome the server has only as long as for the answer to a ping.
        watch(in: answerTime, asked: true)
    }

    func received(_ frame: ServerFrame) { isFull = queue.push(.frame(frame)) }

    func readEnded() {
        lastHeard = .now()
        if isFull { outlet?.setReading(false) }
    }

    func closed(_ end: LiveEnd) {
        outlet = nil
        queue.push(.closed(end))
    }

    private func watch(in time: TimeAmount, asked: Bool) {
        guard let loop = outlet?.eventLoop?.assumeIsolated() else { return }
        let heard = lastHeard
        loop.scheduleTask(in: time) { [weak self] in self?.check(heardBefore: heard, asked: asked) }
    }

    private func check(heardBefore: NIODeadline, asked: Bool) {
        guard let outlet else { return }
        if lastHeard > heardBefore || isFull {
            let rest = max(.milliseconds(1), silence - (NIODeadline.now() - lastHeard))
            return watch(in: isFull ? silence : rest, asked: false)
        }
        if asked { return outlet.closeBroken("the server does not answer") }
        outlet.send(.ping(ref: nil))
        watch(in: answerTime, asked: true)
    }
}
