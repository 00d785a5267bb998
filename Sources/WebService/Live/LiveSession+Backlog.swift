import Domain
import NIOCore
import Observability

/// Readers that are slower than what comes: what they have not been sent waits, and they are given time to read.
///
/// What waits is written piece by piece, each when the system has taken the one before. Answers do not wait behind it.
extension LiveSession {
    /// How much of a backlog is written at a time.
    private static let pieceBytes = 64 * 1024

    /// Keeps items that cannot be sent yet; drops them with all that waits already when that would be too much.
    func keep(_ rest: LiveDelivery.Rest, of delivery: LiveDelivery) {
        let end = delivery.cursor(after: rest.last)
        guard droppedUpTo == nil else {
            droppedUpTo = end
            return
        }
        guard !rest.items.isEmpty else { return }
        guard backlog.count + rest.items.count <= hub.limits.backlogEntries,
            backlog.bytes + rest.bytes <= hub.limits.backlogBytes, hold(rest, of: delivery)
        else { return drop(upTo: end) }
        if backlog.isEmpty {
            loop.fellBehind(self)
            expectProgress()
        }
        backlog.append(rest, of: delivery)
        waitUntilTaken()
        if hub.backlogs.isTight { hub.makeRoom() }
    }

    /// Counts what is to be kept; when all may keep no more, larger backlogs go first.
    private func hold(_ rest: LiveDelivery.Rest, of delivery: LiveDelivery) -> Bool {
        while !hub.backlogs.hold(delivery, items: rest.items.count) {
            guard loop.dropLargestBacklog(beyond: backlog.bytes) else { return false }
        }
        return true
    }

    /// Goes on as soon as the system has taken all that was written.
    private func waitUntilTaken() {
        guard !isWaitingUntilTaken, let context else { return }
        isWaitingUntilTaken = true
        let eventLoop = context.eventLoop.assumeIsolated()
        let taken = context.eventLoop.makePromise(of: Void.self)
        taken.futureResult.assumeIsolated().whenComplete { _ in
            // Not in the middle of the write that completes it.
            eventLoop.execute { self.goOn() }
        }
        writeGathered(taken)
    }

    private func goOn() {
        isWaitingUntilTaken = false
        guard context != nil, case .live = phase else { return }
        if let cursor = droppedUpTo {
            droppedUpTo = nil
            nothingDue()
            hub.metrics.resyncs.add()
            write(.resync(cursor: cursor, otherLog: droppedOtherLog))
            droppedOtherLog = false
            resumeReading()
        } else if !backlog.isEmpty {
            writeBacklog()
        }
        loop.flush()
    }

    private func writeBacklog() {
        // Answers that were written meanwhile do not count: however many they are, entries go on.
        var waiting = 0
        while var piece = backlog.takeFirst() {
            waiting = write(piece.delivery, &piece, beside: waiting, until: Self.pieceBytes)
            // What is written can end the connection.
            let isOver = if case .live = phase { false } else { true }
            if isOver || piece.item == nil {
                hub.backlogs.release(piece.delivery, items: piece.items.count)
                if isOver { return }
            } else {
                backlog.putBack(piece)
                break
            }
        }
        if backlog.isEmpty {
            loop.caughtUp(self)
            nothingDue()
        } else {
            expectProgress()
            waitUntilTaken()
        }
    }

    func forgetBacklog() {
        guard !backlog.isEmpty else { return }
        backlog.removeAll(budget: hub.backlogs)
        loop.caughtUp(self)
        if droppedUpTo == nil { nothingDue() }
    }

    // MARK: Too slow

    /// Drops what waits, as too much does; `resync` says where the client stands then.
    func dropBacklog() {
        if let end = backlog.end { drop(upTo: end) }
    }

    /// When all that was written is taken, `resync` follows.
    private func drop(upTo end: LogCursor) {
        forgetBacklog()
        droppedUpTo = end
        expectProgress()
        waitUntilTaken()
    }

    /// Looks again after a while whether the client has taken anything.
    private func expectProgress() {
        takenBefore = takenBytes
        dueWithin(hub.limits.drainTimeout)
    }

    private var takenBytes: Int { writtenBytes - bufferedBytes }

    /// Who has taken something goes on; who has taken nothing costs too much.
    func readerIsDue() {
        guard takenBytes <= takenBefore else { return expectProgress() }
        hub.metrics.slowReaders.add()
        close(.tryAgainLater)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .live = phase, droppedUpTo == nil, backlog.isEmpty {
            if context.channel.isWritable { nothingDue() } else { expectProgress() }
        }
        if context.channel.isWritable {
            resumeReading()
            loop.flush()
        }
    }
}
