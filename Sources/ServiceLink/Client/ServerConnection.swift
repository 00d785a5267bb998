import Domain
import Foundation
import NIOCore
import SwiftProtobuf

/// One connection to a server, as the pool keeps it; touched only on the pool's event loop.
final class ServerConnection {
    /// A request that was sent and is not answered.
    enum Asked {
        case send(PendingSend)
        case request(PendingRequest)
        case attach(SessionState)
        case status
    }

    unowned let server: PoolServer
    let channel: any Channel
    let outbox: FrameOutbox
    private(set) var unanswered: [UInt64: (asked: Asked, deadline: NIODeadline)] = [:]
    var attaching = 0
    var isGreeted = false
    /// Set when the pool has given the connection up.
    var isLost = false
    var heardAt: NIODeadline
    var pingAt: NIODeadline

    init(server: PoolServer, channel: any Channel, limits: LinkLimits, now: NIODeadline) {
        self.server = server
        self.channel = channel
        outbox = FrameOutbox(channel: channel, limitBytes: limits.outgoingBytes)
        heardAt = now
        pingAt = now + TimeAmount(limits.pingEvery)
    }

    /// Sends a request and remembers what it was.
    func ask(_ asked: Asked, _ frame: EncodedFrame, id: UInt64, until deadline: NIODeadline) {
        unanswered[id] = (asked, deadline)
        outbox.append(frame)
    }

    /// Sends a frame that is not answered.
    func send(_ frame: LinkFrame) {
        guard let encoded = try? EncodedFrame(frame) else { return }  // Only a frame over 2 GiB fails.
        outbox.append(encoded)
    }

    /// Whether nothing waits for an answer.
    var isIdle: Bool { unanswered.isEmpty }

    /// What the request of this id was, once.
    func take(_ id: UInt64) -> Asked? { unanswered.removeValue(forKey: id)?.asked }

    /// What has not been answered until now, in the order of sending.
    func takeOverdue(at now: NIODeadline) -> [(id: UInt64, asked: Asked)] {
        var ids: [UInt64] = []
        for (id, entry) in unanswered where entry.deadline <= now { ids.append(id) }
        return ids.sorted().compactMap { id in take(id).map { (id, $0) } }
    }

    /// Everything unanswered, in the order of sending.
    func takeAll() -> [(id: UInt64, asked: Asked)] {
        let all = unanswered.sorted { $0.key < $1.key }
        unanswered = [:]
        return all.map { ($0.key, $0.value.asked) }
    }

    func removeAttach(of session: SessionState) {
        if unanswered.removeValue(forKey: session.attachID) != nil { attaching -= 1 }
    }
}

/// One server of the list; touched only on the pool's event loop.
final class PoolServer {
    let index: Int
    let address: BindAddress
    var state = ServerHealth.State.connecting
    var since: NIODeadline
    var connection: ServerConnection?
    var isConnecting = false
    var sessions = 0
    /// When it is tried again.
    var retryAt: NIODeadline
    /// So that an outage is one line of the log.
    var lastProblem: String?

    init(index: Int, address: BindAddress, now: NIODeadline) {
        self.index = index
        self.address = address
        since = now
        retryAt = now
    }
}

/// A request without a session that waits for its answer.
final class PendingRequest {
    let body: LinkRequest.OneOf_Body
    let token: Data?
    let deadline: NIODeadline
    let reply: @Sendable (Result<LinkResponse.OneOf_Body, Refusal>) -> Void
    var attempts = 0
    /// The attempt that counts: a refusal of an earlier one is stale.
    var attemptID: UInt64 = 0
    var lastServer: Int?
    var isDone = false

    init(
        body: LinkRequest.OneOf_Body, token: Data?, deadline: NIODeadline,
        reply: @escaping @Sendable (Result<LinkResponse.OneOf_Body, Refusal>) -> Void
    ) {
        self.body = body
        self.token = token
        self.deadline = deadline
        self.reply = reply
    }
}
