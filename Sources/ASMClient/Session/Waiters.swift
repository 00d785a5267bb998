import Domain
import Synchronization

/// The callers who wait until their message is answered.
final class Waiters: Sendable {
    typealias Continuation = CheckedContinuation<StoredReceipt, any Error>

    private let waiting = Mutex<[ClientID: Continuation]>([:])

    /// Keeps a caller waiting; one who is cancelled already is let go at once.
    func add(_ continuation: Continuation, for id: ClientID) {
        waiting.withLock { $0[id] = continuation }
        if Task.isCancelled { finish(id, with: .failure(CancellationError())) }
    }

    func finish(_ id: ClientID, with result: Result<StoredReceipt, any Error>) {
        waiting.withLock { $0.removeValue(forKey: id) }?.resume(with: result)
    }

    func finishAll(with error: any Error) {
        let all = waiting.withLock { waiting in
            defer { waiting = [:] }
            return waiting
        }
        for continuation in all.values { continuation.resume(throwing: error) }
    }
}
