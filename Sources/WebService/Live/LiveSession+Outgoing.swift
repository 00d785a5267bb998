import Domain
import NIOCore
import Observability

/// What goes to the client: frames gathered in one buffer, written and flushed once a tick, bounded.
extension LiveSession {
    /// What is gathered at most before it is written in the middle of a tick.
    private static let gatheredBytes = 64 * 1024
    /// After so many bytes of entries a new frame begins.
    private static let entriesFrameBytes = 64 * 1024
    private static let firstBytes = 256

    /// Appends one frame.
    func write(_ frame: ServerFrame) {
        guard context != nil else { return }
        loop.scratch.removeAll(keepingCapacity: true)
        frame.encode(into: &loop.scratch)
        let count = loop.scratch.count
        prepareToWrite(WebSocketWriter.headerLimit + count)
        WebSocketWriter.writeHeader(.text, payloadBytes: count, into: &outgoing)
        outgoing.writeBytes(loop.scratch)
        hub.metrics.framesOut.add()
    }

    func refuse(_ refusal: Refusal, ref: FrameRef?) {
        hub.metrics.refused(refusal.code)
        write(.refused(ref: ref, refusal))
    }

    /// Makes room for so many bytes, and sees to it that they are flushed at the end of this tick.
    func prepareToWrite(_ bytes: Int) {
        if !isFlushDue {
            isFlushDue = true
            loop.willFlush(self)
        }
        if outgoing.readableBytes >= Self.gatheredBytes { writeGathered() }
        if outgoing.readableBytes == 0, let context {
            outgoing = context.channel.allocator.buffer(capacity: max(bytes, Self.firstBytes))
        } else {
            outgoing.reserveCapacity(minimumWritableBytes: bytes)
        }
    }

    func flush() {
        isFlushDue = false
        guard let context else { return }
        if outgoing.readableBytes > 0 { writeGathered() } else { context.flush() }
    }

    /// - Parameter taken: completed when the system has taken all that was written up to here.
    func writeGathered(_ taken: EventLoopPromise<Void>? = nil) {
        let bytes = outgoing
        outgoing = ByteBuffer()
        writtenBytes += bytes.readableBytes
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: taken)
    }

    // MARK: Deliveries

    /// Appends the session's entries of a delivery, in order: entries in a row as one frame. What does not fit waits.
    func deliver(_ delivery: LiveDelivery, _ chain: inout LiveDelivery.Chain) {
        guard case .live = phase else { return }
        if backlog.isEmpty, droppedUpTo == nil {
            write(delivery, &chain, beside: bytesWaiting, until: hub.limits.outgoingBytes)
        }
        guard chain.item != nil, case .live = phase else { return }
        keep(LiveDelivery.Rest(chain, of: delivery), of: delivery)
    }

    /// Appends items until about `limit` bytes wait.
    /// - Parameter before: how much waits already.
    /// - Returns: how much waits then.
    @discardableResult
    func write(
        _ delivery: LiveDelivery, _ items: inout some LiveItems, beside before: Int, until limit: Int
    ) -> Int {
        var waiting = before
        while let index = items.item {
            let item = delivery.items[index]
            let bytes: Int
            switch item.content {
            case .hidden:
                items.advance()
                continue
            case .receipts(let range): bytes = range.count
            case .entry, .longEntry: bytes = item.content.bytes + Self.entriesFrameOverhead
            }
            // An empty connection takes any one frame, so that everything can be delivered at all.
            guard waiting == 0 || waiting + bytes <= limit else { return waiting }
            if case .receipts(let range) = item.content {
                prepareToWrite(WebSocketWriter.headerLimit + range.count)
                WebSocketWriter.writeHeader(.text, payloadBytes: range.count, into: &outgoing)
                outgoing.writeBytes(delivery.json[range])
                items.advance()
                waiting += range.count
            } else {
                let room = max(bytes, limit - waiting)
                waiting += writeEntries(delivery, &items, limit: min(room, Self.entriesFrameBytes))
            }
            hub.metrics.framesOut.add()
        }
        return waiting
    }

    /// The bytes of an `entries` frame beside its entries, at most.
    private static let entriesFrameOverhead = 128

    /// Appends one frame with the entries that are next, as many as follow in a row and fit.
    private func writeEntries(
        _ delivery: LiveDelivery, _ items: inout some LiveItems, limit: Int
    ) -> Int {
        let start = items
        var entryBytes = 0
        var count = 0
        var last = 0
        while let index = items.item {
            let item = delivery.items[index]
            if case .receipts = item.content { break }
            if case .hidden = item.content {
            } else {
                let bytes = item.content.bytes
                if count > 0, entryBytes + bytes + count + Self.entriesFrameOverhead > limit { break }
                entryBytes += bytes
                count += 1
                last = index
            }
            items.advance()
        }
        loop.scratch.removeAll(keepingCapacity: true)
        JSONWriter.raw(ServerFrame.entriesStart, into: &loop.scratch)
        JSONWriter.cursor(delivery.cursor(after: last), into: &loop.scratch)
        JSONWriter.raw(ServerFrame.entriesMiddle, into: &loop.scratch)
        let payload =
            loop.scratch.count + entryBytes + count - 1 + ServerFrame.entriesEnd.utf8CodeUnitCount
        prepareToWrite(WebSocketWriter.headerLimit + payload)
        WebSocketWriter.writeHeader(.text, payloadBytes: payload, into: &outgoing)
        outgoing.writeBytes(loop.scratch)
        appendEntries(delivery, from: start, count: count)
        outgoing.writeStaticString(ServerFrame.entriesEnd)
        return payload
    }

    private func appendEntries(_ delivery: LiveDelivery, from start: some LiveItems, count: Int) {
        var items = start
        var left = count
        while left > 0, let index = items.item {
            items.advance()
            switch delivery.items[index].content {
            case .entry(let range): outgoing.writeBytes(delivery.json[range])
            case .longEntry(let bytes):
                // Shared between the sessions that get it, not copied.
                let before = outgoing
                outgoing = ByteBuffer()
                writtenBytes += before.readableBytes + bytes.readableBytes
                context?.write(wrapOutboundOut(before), promise: nil)
                context?.write(wrapOutboundOut(bytes), promise: nil)
            case .receipts, .hidden: continue
            }
            left -= 1
            if left > 0 { outgoing.writeInteger(UInt8(ascii: ",")) }
        }
    }

    /// What the client has not taken yet, in bytes.
    private var bytesWaiting: Int { bufferedBytes + outgoing.readableBytes }

    /// What was given to the connection and has not been taken by the system.
    var bufferedBytes: Int {
        // A channel that cannot say is treated as empty: its writability still bounds it.
        (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }
}
