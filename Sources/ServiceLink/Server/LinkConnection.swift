import Domain
import Logging
import NIOCore
import Synchronization

/// One client process's connection, as its server sees it; safe to use from any thread.
///
/// What one thread sends arrives in the order of its calls. Sends are coalesced: one write per event-loop
/// tick. When more than `LinkLimits.outgoingBytes` would wait for the client, the connection is closed and
/// its client goes on with another server.
package final class LinkConnection: Sendable, Identifiable {
    /// Unique in this process.
    package let id: UInt64
    package let peer: LinkPeer
    let outbox: FrameOutbox
    private let frameBytes: Int
    private let logger: Logger
    private let unanswered = Atomic<Int>(0)

    init(id: UInt64, peer: LinkPeer, channel: any Channel, limits: LinkLimits, logger: Logger) {
        self.id = id
        self.peer = peer
        outbox = FrameOutbox(channel: channel, limitBytes: limits.outgoingBytes)
        frameBytes = limits.frameBytes
        self.logger = logger
    }

    /// Answers a request; an answer longer than a frame may be becomes a refusal.
    package func send(_ response: LinkResponse) {
        if let frame = encoded(response) { outbox.append(frame) }
        answered(response.id == 0 ? 0 : 1)
    }

    /// Answers several requests with one step into the connection.
    package func send(_ responses: [LinkResponse]) {
        outbox.append(responses.compactMap(encoded))
        answered(responses.count { $0.id != 0 })
    }

    /// Delivers entries; more than fits into a frame goes in several.
    package func send(_ delivery: LinkDelivery) {
        guard let frame = encode({ try EncodedFrame(.delivery, delivery) }) else { return }
        guard frame.count > frameBytes else { return outbox.append(frame) }
        guard delivery.items.count > 1 else {
            logger.error("An entry is longer than a frame", metadata: ["frame.bytes": "\(frame.count)"])
            return close()
        }
        let middle = delivery.items.count / 2
        for half in [delivery.items[..<middle], delivery.items[middle...]] {
            var part = delivery
            part.items = Array(half)
            send(part)
        }
    }

    /// Sends any other frame.
    package func send(frame: LinkFrame) {
        guard let encoded = encode({ try EncodedFrame(frame) }) else { return }
        outbox.append(encoded)
    }

    /// What is on its way to the client and has not been taken by the system.
    package var waitingBytes: Int { outbox.waitingBytes }

    /// Closes the connection once what was sent is written; its client goes on with another server.
    package func close() { outbox.close() }

    /// Requests received and not answered yet.
    var inFlight: Int { max(0, unanswered.load(ordering: .acquiring)) }

    func received(_ count: Int) { unanswered.wrappingAdd(count, ordering: .relaxed) }

    /// Once the answers are on their way, so that a stopping server does not close before they are.
    private func answered(_ count: Int) { unanswered.wrappingSubtract(count, ordering: .releasing) }

    private func encoded(_ response: LinkResponse) -> EncodedFrame? {
        guard let frame = encode({ try EncodedFrame(.response, response) }) else { return nil }
        guard frame.count > frameBytes else { return frame }
        logger.warning("An answer is longer than a frame", metadata: ["frame.bytes": "\(frame.count)"])
        let refusal = Refusal(.tooLarge, "The answer is too long; ask for fewer things at a time.")
        return encode { try EncodedFrame(.response, LinkResponse(id: response.id, refusal)) }
    }

    private func encode(_ encode: () throws -> EncodedFrame) -> EncodedFrame? {
        do { return try encode() } catch {
            logger.error("A frame cannot be encoded", metadata: ["error": "\(error)"])
            close()
            return nil
        }
    }
}
