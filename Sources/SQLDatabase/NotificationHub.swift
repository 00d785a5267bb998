import Synchronization

/// The listeners of this process, by channel.
package final class NotificationHub: Sendable {
    /// Payloads a slow listener may have waiting; beyond it the oldest are lost.
    package static let bufferLimit = 1024
    /// Bytes in one payload: PostgreSQL refuses 8,000 and more.
    package static let payloadLimit = 7_999

    private struct State {
        var listeners: [String: [Int: AsyncStream<String>.Continuation]] = [:]
        var nextListener = 0
        var closed = false
    }

    private let state = Mutex(State())

    package init() {}

    /// A stream of the channel's payloads, until it is dropped or the hub closes.
    package func listen(on channel: String) -> AsyncStream<String> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(Self.bufferLimit))
        let listener: Int? = state.withLock { state in
            guard !state.closed else { return nil }
            state.nextListener += 1
            state.listeners[channel, default: [:]][state.nextListener] = continuation
            return state.nextListener
        }
        guard let listener else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.remove(listener, from: channel) }
        return stream
    }

    package func tell(_ payload: String, on channel: String) {
        let listeners = state.withLock { $0.listeners[channel].map { Array($0.values) } ?? [] }
        for listener in listeners { listener.yield(payload) }
    }

    /// Tells every listener of every channel that it may have missed something.
    package func tellMissed() {
        let listeners = state.withLock { $0.listeners.values.flatMap(\.values) }
        for listener in listeners { listener.yield("") }
    }

    /// The channels somebody listens on.
    package var channels: Set<String> { state.withLock { Set($0.listeners.keys) } }

    /// Ends every stream; later ones end at once.
    package func close() {
        let listeners = state.withLock { state in
            state.closed = true
            defer { state.listeners = [:] }
            return state.listeners.values.flatMap(\.values)
        }
        for listener in listeners { listener.finish() }
    }

    private func remove(_ listener: Int, from channel: String) {
        state.withLock { state in
            state.listeners[channel]?[listener] = nil
            if state.listeners[channel]?.isEmpty == true { state.listeners[channel] = nil }
        }
    }
}
