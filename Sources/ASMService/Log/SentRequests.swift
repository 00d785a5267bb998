import Domain
import Store
import Synchronization

/// Which live session sent what this server is appending.
///
/// The follower may read an entry back before the append that wrote it is answered, when another server's
/// announcement wakes it; this tells it then whose session knows the entry already.
final class SentRequests: Sendable {
    private struct Key: Hashable {
        let author: User.ID
        let clientID: ClientID
    }

    /// Holds at most a batch in flight and the batches that the follower has not taken over yet.
    private let origins = Mutex<[Key: SessionAddress]>([:])

    /// Notes a message that is about to be appended.
    func note(_ messages: [(message: NewMessage, origin: SessionAddress)]) {
        origins.withLock { origins in
            for (message, origin) in messages where origin != .none {
                origins[Key(author: message.author, clientID: message.clientID)] = origin
            }
        }
    }

    /// Forgets a message that did not become an entry.
    func forget(_ message: NewMessage) {
        origins.withLock { $0[Key(author: message.author, clientID: message.clientID)] = nil }
    }

    /// Forgets what the follower has been handed.
    func forget(_ entries: [CommittedEntry]) {
        origins.withLock { origins in
            for entry in entries {
                if let key = Self.key(of: entry.entry) { origins[key] = nil }
            }
        }
    }

    /// The session of this server that is sending the entry; nil when there is none.
    func origin(of entry: LogEntry) -> SessionAddress? {
        guard let key = Self.key(of: entry) else { return nil }
        return origins.withLock { $0[key] }
    }

    private static func key(of entry: LogEntry) -> Key? {
        guard let author = entry.author, let clientID = entry.clientID else { return nil }
        return Key(author: author, clientID: clientID)
    }
}
