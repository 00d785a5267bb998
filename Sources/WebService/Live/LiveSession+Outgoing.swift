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
        if outgoing.readableBytes > 0 {
            let bytes = outgoing
            outgoing = ByteBuffer()
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        } else {
            context.flush()
        }
    }

    private func writeGathered() {
        let bytes = outgoing
        outgoing = ByteBuffer()
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    // MARK: Deliveries

    /// Appends the session's entries of a delivery, in order: entries in a row as one frame.
    func deliver(_ delivery: LiveDelivery, _ chain: inout LiveDelivery.Chain) {
        guard case .live = phase else { return }
        var waiting = bytesWaiting
        while let index = chain.item {
            let item = delivery.items[index]
            let bytes: Int
            switch item.content {
            case .hidden:
                chain.advance()
                continue
            case .receipts(let range): bytes = range.count
            case .entry, .longEntry: bytes = item.content.bytes + Self.entriesFrameOverhead
            }
            // An empty connection takes any one frame, so that everything can be delivered at all.
            guard droppedUpTo == nil, waiting == 0 || waiting + bytes <= hub.limits.outgoingBytes else {
                return drop(delivery, chain)
            }
            if case .receipts(let range) = item.content {
                prepareToWrite(WebSocketWriter.headerLimit + range.count)
                WebSocketWriter.writeHeader(.text, payloadBytes: range.count, into: &outgoing)
                outgoing.writeBytes(delivery.json[range])
                chain.advance()
                waiting += range.count
            } else {
                let room = max(bytes, hub.limits.outgoingBytes - waiting)
                waiting += writeEntries(delivery, &chain, limit: min(room, Self.entriesFrameBytes))
            }
            hub.metrics.framesOut.add()
        }
    }

    /// The bytes of an `entries` frame beside its entries, at most.
    private static let entriesFrameOverhead = 128

    /// Appends one frame with the entries at which the chain stands, as many as follow in a row and fit.
    private func writeEntries(_ delivery: LiveDelivery, _ chain: inout LiveDelivery.Chain, limit: Int) -> Int
    {
        let start = chain
        var entryBytes = 0
        var count = 0
        var last = 0
        while let index = chain.item {
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
            chain.advance()
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

    private func appendEntries(_ delivery: LiveDelivery, from start: LiveDelivery.Chain, count: Int) {
        var chain = start
        var left = count
        while left > 0, let index = chain.item {
            chain.advance()
            switch delivery.items[index].content {
            case .entry(let range): outgoing.writeBytes(delivery.json[range])
            case .longEntry(let bytes):
                // Shared between the sessions that get it, not copied.
                let before = outgoing
                outgoing = ByteBuffer()
                context?.write(wrapOutboundOut(before), promise: nil)
                context?.write(wrapOutboundOut(bytes), promise: nil)
            case .receipts, .hidden: continue
            }
            left -= 1
            if left > 0 { outgoing.writeInteger(UInt8(ascii: ",")) }
        }
    }

    // MARK: Slow readers

    /// What the client has not taken yet, in bytes.
    private var bytesWaiting: Int {
        // A channel that cannot say is treated as empty: its writability still bounds it.
        let buffered = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        return (buffered ?? 0) + outgoing.readableBytes
    }

    /// Drops what the chain still holds; when all that came before is on the wire, `resync` follows.
    private func drop(_ delivery: LiveDelivery, _ chain: LiveDelivery.Chain) {
        var chain = chain
        let isFirst = droppedUpTo == nil
        while let index = chain.item {
            droppedUpTo = delivery.cursor(after: index)
            chain.advance()
        }
        guard isFirst, let context else { return }
        dueWithin(hub.limits.drainTimeout)
        let drained = context.eventLoop.makePromise(of: Void.self)
        drained.futureResult.assumeIsolated().whenSuccess { self.hasDrained() }
        let bytes = outgoing
        outgoing = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: drained)
    }

    private func hasDrained() {
        guard let cursor = droppedUpTo, case .live = phase else { return }
        droppedUpTo = nil
        nothingDue()
        hub.metrics.resyncs.add()
        write(.resync(cursor: cursor, otherLog: droppedOtherLog))
        droppedOtherLog = false
        resumeReading()
        loop.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .live = phase, droppedUpTo == nil {
            if context.channel.isWritable { nothingDue() } else { dueWithin(hub.limits.drainTimeout) }
        }
        if context.channel.isWritable {
            resumeReading()
            loop.flush()
        }
    }
}
