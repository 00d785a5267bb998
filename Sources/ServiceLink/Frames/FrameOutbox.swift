import NIOCore
import Synchronization

/// Frames on their way into a channel: put in from any thread, written once per event-loop tick.
final class FrameOutbox: Sendable {
    private struct State {
        var buffer = ByteBuffer()
        var isScheduled = false
        var isClosed = false
        /// Given to the channel, not yet taken by the system.
        var writtenBytes = 0
    }

    private enum Step { case none, schedule, overflow }

    private let state = Mutex(State())
    private let channel: any Channel
    private let limitBytes: Int

    init(channel: any Channel, limitBytes: Int) {
        self.channel = channel
        self.limitBytes = limitBytes
    }

    /// What is on its way to the peer and not yet taken by the system.
    var waitingBytes: Int { state.withLock { $0.buffer.readableBytes + $0.writtenBytes } }

    /// Appends frames in order; closes the channel when more would wait than is allowed.
    func append(_ frames: some Collection<EncodedFrame>) {
        let step = state.withLock { state -> Step in
            guard !state.isClosed else { return .none }
            for frame in frames { frame.write(to: &state.buffer) }
            return Self.step(&state, limitBytes: limitBytes)
        }
        take(step)
    }

    func append(_ frame: EncodedFrame) {
        let step = state.withLock { state -> Step in
            guard !state.isClosed else { return .none }
            frame.write(to: &state.buffer)
            return Self.step(&state, limitBytes: limitBytes)
        }
        take(step)
    }

    /// On the event loop: announces a `flush` by the caller, so that what is appended meanwhile schedules
    /// none.
    func hold() { state.withLock { $0.isScheduled = true } }

    /// On the event loop: writes what has come.
    func flush() {
        let buffer = state.withLock { state -> ByteBuffer? in
            state.isScheduled = false
            guard state.buffer.readableBytes > 0 else { return nil }
            let buffer = state.buffer
            state.buffer = ByteBuffer()
            state.writtenBytes += buffer.readableBytes
            return buffer
        }
        guard let buffer else { return }
        let count = buffer.readableBytes
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [self] _ in state.withLock { $0.writtenBytes -= count } }
        channel.writeAndFlush(buffer, promise: written)
    }

    /// Refuses frames from now on; writes what has come, then closes the channel.
    func close() {
        state.withLock { $0.isClosed = true }
        channel.eventLoop.execute { [self] in
            flush()
            channel.close(promise: nil)
        }
    }

    private static func step(_ state: inout State, limitBytes: Int) -> Step {
        if state.buffer.readableBytes + state.writtenBytes > limitBytes {
            state.isClosed = true
            state.buffer = ByteBuffer()
            return .overflow
        }
        if state.isScheduled { return .none }
        state.isScheduled = true
        return .schedule
    }

    private func take(_ step: Step) {
        switch step {
        case .none: break
        case .schedule: channel.eventLoop.execute { [self] in flush() }
        case .overflow: channel.close(promise: nil)
        }
    }
}
