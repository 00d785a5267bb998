import Domain
import Synchronization

/// The callers who wait until their message is answered.
///
/// An answer can come before its caller waits: whoever sends is switched to another thread on the way. So a message is
/// expected before it is sent, and its answer kept until the caller is there.
final class Waiters: Sendable {
    typealias Continuation = CheckedContinuation<StoredReceipt, any Error>

    fileprivate enum Place {
        case expected
        case waiting(Continuation)
        case answered(Result<StoredReceipt, any Error>)
    }

    private let places = Mutex<[ClientID: Place]>([:])

    /// Says that somebody will wait for this message; to be called before it can be answered.
    func expect(_ id: ClientID) { places.withLock { $0[id] = .expected } }

    /// Nobody will wait for it after all.
    func forget(_ id: ClientID) { places.withLock { _ = $0.removeValue(forKey: id) } }

    /// Keeps the caller of an expected message waiting, unless it is answered already.
    func add(_ continuation: Continuation, for id: ClientID) {
        let answer = places.withLock { places -> Result<StoredReceipt, any Error>? in
            guard case .answered(let answer) = places[id] else {
                places[id] = .waiting(continuation)
                return nil
            }
            places[id] = nil
            return answer
        }
        if let answer { continuation.resume(with: answer) }
    }

    func finish(_ id: ClientID, with result: Result<StoredReceipt, any Error>) {
        places.withLock { $0.answer(id, with: result) }?.resume(with: result)
    }

    func finishAll(with error: any Error) {
        let all = places.withLock { places in places.keys.map { places.answer($0, with: .failure(error)) } }
        for continuation in all { continuation?.resume(throwing: error) }
    }
}

extension [ClientID: Waiters.Place] {
    /// Notes an answer; the caller who is to be told it, if one is there.
    fileprivate mutating func answer(
        _ id: ClientID, with result: Result<StoredReceipt, any Error>
    ) -> Waiters.Continuation? {
        switch self[id] {
        case .waiting(let continuation):
            self[id] = nil
            return continuation
        case .expected: self[id] = .answered(result)
        case .answered, nil: break
        }
        return nil
    }
}
