import NIOCore
import Synchronization

/// The open connections of a `HealthServer`: few for each address and in all, and the oldest unfinished one goes.
///
/// So a probe is answered whoever holds half requests open, from the same address, too.
final class HealthConnections: Sendable {
    /// How many there may be of one address, and in all.
    static let limitOfAddress = 16
    static let limit = 64

    private struct Connection {
        let channel: any Channel
        let address: String
        var isAnswered = false
    }

    private let open = Mutex<[Connection]>([])

    /// Takes a new connection in, and closes another one where that is one too many.
    func enter(_ channel: any Channel) {
        let address = channel.remoteAddress?.ipAddress ?? ""
        let superfluous = open.withLock { open -> (any Channel)? in
            open.append(Connection(channel: channel, address: address))
            let isOneTooMany = open.count > Self.limit
            let isTooManyOfAddress = open.count { $0.address == address } > Self.limitOfAddress
            guard isOneTooMany || isTooManyOfAddress else { return nil }
            func mayGo(_ connection: Connection) -> Bool {
                !isTooManyOfAddress || connection.address == address
            }
            let index =
                open.firstIndex { mayGo($0) && !$0.isAnswered } ?? open.firstIndex(where: mayGo)
                ?? open.startIndex
            return open.remove(at: index).channel
        }
        superfluous?.close(promise: nil)
    }

    /// The request of this connection is complete.
    func answered(_ channel: any Channel) {
        open.withLock { open in
            if let index = open.firstIndex(where: { $0.channel === channel }) {
                open[index].isAnswered = true
            }
        }
    }

    func leave(_ channel: any Channel) {
        open.withLock { open in open.removeAll { $0.channel === channel } }
    }
}
