package import Domain
package import NIOCore
package import NIOWebSocket

/// The end of a WebSocket's pipeline: reads frames into a `LiveHandler`, writes the client's frames.
///
/// Frames sent in one turn of the event loop leave in one write. They are framed and masked here, straight
/// into the outgoing bytes, past NIO's encoder, which would copy each frame twice more. Used on its event
/// loop only.
package final class LiveOutlet: ChannelInboundHandler {
    package typealias InboundIn = WebSocketFrame

    private var handler: (any LiveHandler)?
    private var context: ChannelHandlerContext?
    private var encoder: ChannelHandlerContext?
    private var masks = SystemRandomNumberGenerator().seededMasks()
    private var json: [UInt8] = []
    private var outgoing = ByteBuffer()
    private var isFlushScheduled = false
    private var isReading = false
    private var fragments: ByteBuffer?
    private var end: LiveEnd?

    init(handler: any LiveHandler) { self.handler = handler }

    /// The loop that everything here runs on; nil once the connection is gone.
    package var eventLoop: (any EventLoop)? { context?.eventLoop }

    /// Sends a frame at the end of this turn of the event loop; dropped when the connection is gone.
    package func send(_ frame: ClientFrame) {
        json.removeAll(keepingCapacity: true)
        frame.encode(into: &json)
        write(opcode: .text)
    }

    /// Closes the connection, saying so to the server.
    package func close() { close(.closedHere, code: 1_000) }

    /// Closes the connection because something is wrong with it.
    func closeBroken(_ reason: String) { close(.broken(reason), code: 1_002) }

    /// Stops or resumes taking frames from the network.
    func setReading(_ isReading: Bool) {
        context?.channel.setOption(.autoRead, value: isReading).whenFailure { _ in }
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Without its encoder this would be no WebSocket; nothing is written then.
        encoder = try? context.pipeline.syncOperations.context(handlerType: WebSocketFrameEncoder.self)
        if context.channel.isActive { handler?.opened(self) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) { finish() }

    package func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(.broken(ConnectionProblem.text(error)), code: 1_002)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text where frame.fin && fragments == nil: take(frame.data)
        case .text, .continuation: takeFragment(frame)
        case .ping: answer(frame)
        case .connectionClose:
            var code = frame.data
            close(.closedByServer(code: code.readInteger(as: UInt16.self).map(Int.init)), code: 1_000)
        default: break
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        handler?.readEnded()
        flush()
        context.fireChannelReadComplete()
    }

    private func take(_ data: ByteBuffer) {
        do {
            let frame = try data.withUnsafeReadableBytes { bytes in
                try ServerFrame.decode(bytes.bindMemory(to: UInt8.self))
            }
            handler?.received(frame)
        } catch {
            close(.broken("a frame could not be read: \(error)"), code: 1_002)
        }
    }

    private func takeFragment(_ frame: WebSocketFrame) {
        var joined = fragments ?? ByteBuffer()
        joined.writeImmutableBuffer(frame.data)
        guard joined.readableBytes <= LiveConnection.frameByteLimit else {
            return close(.broken("a frame was too large"), code: 1_009)
        }
        fragments = frame.fin ? nil : joined
        if frame.fin { take(joined) }
    }

    private func answer(_ ping: WebSocketFrame) {
        json.removeAll(keepingCapacity: true)
        json.append(contentsOf: ping.data.readableBytesView)
        write(opcode: .pong)
    }

    private func close(_ end: LiveEnd, code: UInt16) {
        guard self.end == nil, let context else { return }
        self.end = end
        json = [UInt8(code >> 8), UInt8(code & 0xFF)]
        write(opcode: .connectionClose)
        flush()
        context.close(promise: nil)
    }

    private func finish() {
        let handler = handler
        self.handler = nil
        context = nil
        encoder = nil
        handler?.closed(end ?? .closedByServer(code: nil))
    }

    /// Frames and masks what is in `json` into the outgoing bytes.
    private func write(opcode: WebSocketOpcode) {
        guard let context, encoder != nil else { return }
        let mask = masks.next()
        outgoing.writeFrameHeader(opcode: opcode, payloadBytes: json.count, mask: mask)
        outgoing.writeMasked(json, mask: mask)
        guard !isFlushScheduled, !isReading else { return }
        isFlushScheduled = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.flush() }
    }

    private func flush() {
        isFlushScheduled = false
        guard outgoing.readableBytes > 0, let encoder else { return }
        encoder.writeAndFlush(NIOAny(outgoing), promise: nil)
        outgoing = context?.channel.allocator.buffer(capacity: 1_024) ?? ByteBuffer()
    }
}

/// Mask keys: they only have to be unlike for a proxy in between, so one random seed serves a connection.
struct MaskKeys {
    private var state: UInt64

    init(seed: UInt64) { state = seed | 1 }

    mutating func next() -> UInt32 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt32(truncatingIfNeeded: state >> 16)
    }
}

extension SystemRandomNumberGenerator {
    fileprivate func seededMasks() -> MaskKeys {
        var generator = self
        return MaskKeys(seed: generator.next())
    }
}

extension ByteBuffer {
    /// Appends the header of a final, masked frame (RFC 6455, section 5.2).
    mutating func writeFrameHeader(opcode: WebSocketOpcode, payloadBytes: Int, mask: UInt32) {
        writeInteger(UInt8(0x80) | UInt8(webSocketOpcode: opcode))
        switch payloadBytes {
        case ..<126: writeInteger(UInt8(0x80) | UInt8(payloadBytes))
        case ..<65_536:
            writeInteger(UInt8(0x80 | 126))
            writeInteger(UInt16(payloadBytes))
        default:
            writeInteger(UInt8(0x80 | 127))
            writeInteger(UInt64(payloadBytes))
        }
        writeInteger(mask)
    }

    /// Appends the bytes combined with the mask, eight at a time.
    mutating func writeMasked(_ bytes: [UInt8], mask: UInt32) {
        let wide = UInt64(mask.bigEndian) << 32 | UInt64(mask.bigEndian)
        writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count) { target in
            bytes.withUnsafeBytes { source in
                var index = 0
                while index + 8 <= source.count {
                    let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide
                    target.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
                    index += 8
                }
                while index < source.count {
                    target[index] =
                        source[index] ^ UInt8(truncatingIfNeeded: mask >> UInt32(24 - 8 * (index & 3)))
                    index += 1
                }
            }
            return bytes.count
        }
    }
}
