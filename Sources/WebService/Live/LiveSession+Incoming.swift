import Domain
import NIOCore
import Observability
import ServiceLink

/// What comes from the client: bytes to frames, frames to what they ask for.
extension LiveSession {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDeaf else { return }
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
        takeFrames()
    }

    func channelReadComplete(context: ChannelHandlerContext) { loop.flush() }

    func read(context: ChannelHandlerContext) {
        if mustPause { isReadWithheld = true } else { context.read() }
    }

    /// Whether nothing more is taken from the client until something else has got on.
    private var mustPause: Bool {
        switch phase {
        case .waitingForHello: false
        case .attaching: true
        case .live:
            sendsInFlight >= hub.limits.sendsInFlight || droppedUpTo != nil
                || context?.channel.isWritable == false
        case .closing: false
        }
    }

    /// Goes on with what was withheld, if nothing stands against it any more.
    func resumeReading() {
        takeFrames()
        guard isReadWithheld, !mustPause else { return }
        isReadWithheld = false
        context?.read()
    }

    private func takeFrames() {
        while !isDeaf, !mustPause, unread.readableBytes > 0 {
            if refusedBytes > 0 {
                let count = min(refusedBytes, unread.readableBytes)
                unread.moveReaderIndex(forwardBy: count)
                refusedBytes -= count
                continue
            }
            do {
                guard let header = try WebSocketHeader.peek(at: unread, payloadLimit: payloadLimit) else {
                    break
                }
                if header.payloadBytes > hub.limits.frameBytes {
                    guard unread.readableBytes >= header.headerBytes + hub.limits.refBytes else { break }
                    try refuseTooLarge(header)
                    continue
                }
                guard unread.readableBytes >= header.headerBytes + header.payloadBytes else { break }
                unread.moveReaderIndex(forwardBy: header.headerBytes)
                try take(header)
            } catch {
                isDeaf = true
                close(error == .tooLarge ? .tooLarge : .notTheProtocol)
            }
        }
        if unread.readableBytes == 0 || isDeaf {
            unread = ByteBuffer()
        } else if unread.readerIndex > 0 {
            // A copy of its own: what is left over must not hold the larger buffer that it came in.
            unread = ByteBuffer(bytes: unread.readableBytesView)
        }
        holdUnread()
    }

    /// Counts what is kept of frames that are not complete, and ends the connection where that is too much.
    private func holdUnread() {
        // What waits because sends of a live session are not answered yet is one read at most, and no fault of the client's.
        let waits = if case .live = phase { mustPause } else { false }
        let held = (waits ? 0 : unread.readableBytes) + (fragments?.readableBytes ?? 0)
        guard share.hold(held) != nil else { return }
        isDeaf = true
        unread = ByteBuffer()
        fragments = nil
        _ = share.hold(0)
        close(.tryAgainLater)
    }

    /// The largest frame that is looked at: before `welcome` anybody may send one.
    private var payloadLimit: Int {
        switch phase {
        case .live: hub.limits.refusedFrameBytes
        case .closing: hub.limits.frameBytes
        case .waitingForHello, .attaching: hub.limits.helloBytes
        }
    }

    /// Refuses the message of a frame that is too large by name, where its `ref` stands at the beginning, and reads over the rest.
    private func refuseTooLarge(_ header: WebSocketHeader) throws(WebSocketHeader.Fault) {
        if isRefusingFragments, header.opcode == .continuation {
            isRefusingFragments = !header.isFinal
        } else if let joined = fragments, header.opcode == .continuation {
            fragments = nil
            try refuseTooLarge(joined)
            isRefusingFragments = !header.isFinal
        } else {
            guard fragments == nil, !isRefusingFragments, header.opcode == .text else { throw .tooLarge }
            let start = unread.readerIndex + header.headerBytes
            var beginning = ByteBuffer()
            beginning.writeUnmasked(
                unread.viewBytes(at: start, length: hub.limits.refBytes)
                    ?? unread.readableBytesView.prefix(0),
                mask: header.mask)
            try refuseTooLarge(beginning)
            isRefusingFragments = !header.isFinal
        }
        unread.moveReaderIndex(forwardBy: header.headerBytes)
        refusedBytes = header.payloadBytes
    }

    /// - Parameter beginning: the first bytes of the frame.
    private func refuseTooLarge(_ beginning: ByteBuffer) throws(WebSocketHeader.Fault) {
        let ref = beginning.withUnsafeReadableBytes { bytes in
            ClientFrame.ref(of: bytes.bindMemory(to: UInt8.self))
        }
        guard let ref else { throw .tooLarge }
        refuse(
            Refusal(
                .tooLarge,
                "A frame may have \(hub.limits.frameBytes) bytes at most, and a text \(hub.messageLimits.textBytes) bytes of UTF-8."
            ), ref: ref)
    }

    private func take(_ header: WebSocketHeader) throws(WebSocketHeader.Fault) {
        let masked = unread.readableBytesView.prefix(header.payloadBytes)
        unread.moveReaderIndex(forwardBy: header.payloadBytes)
        if case .closing = phase {
            if header.opcode == .close { context?.close(promise: nil) }
            return
        }
        switch header.opcode {
        case .text:
            guard fragments == nil, !isRefusingFragments else { throw .badControlFrame }
            if header.isFinal {
                loop.text.clear()
                loop.text.writeUnmasked(masked, mask: header.mask)
                takeText()
            } else {
                var first = ByteBuffer()
                first.writeUnmasked(masked, mask: header.mask)
                fragments = first
            }
        case .continuation where isRefusingFragments:
            isRefusingFragments = !header.isFinal
        case .continuation:
            guard var joined = fragments else { throw .badControlFrame }
            guard joined.readableBytes + masked.count <= min(payloadLimit, hub.limits.frameBytes) else {
                guard case .live = phase else { throw .tooLarge }
                fragments = nil
                isRefusingFragments = !header.isFinal
                return try refuseTooLarge(joined)
            }
            fragments = nil
            joined.writeUnmasked(masked, mask: header.mask)
            if header.isFinal {
                loop.text = joined
                takeText()
            } else {
                fragments = joined
            }
        case .binary: close(.notText)
        case .ping:
            var payload = ByteBuffer()
            payload.writeUnmasked(masked, mask: header.mask)
            prepareToWrite(WebSocketWriter.headerLimit + payload.readableBytes)
            WebSocketWriter.writeHeader(.pong, payloadBytes: payload.readableBytes, into: &outgoing)
            outgoing.writeBuffer(&payload)
        case .pong: break
        case .close:
            var payload = ByteBuffer()
            payload.writeUnmasked(masked, mask: header.mask)
            close(WebSocketCloseCode(answering: payload))
            loop.flush()
            context?.close(promise: nil)
        }
    }

    /// Reads `loop.text` as a frame and does what it says.
    private func takeText() {
        hub.metrics.framesIn.add()
        do {
            let frame = try loop.text.withUnsafeReadableBytes { bytes throws(FrameRejection) in
                try ClientFrame.decode(bytes.bindMemory(to: UInt8.self))
            }
            take(frame)
        } catch {
            reject(error)
        }
    }

    private func reject(_ rejection: FrameRejection) {
        let isUTF8 = String(validating: loop.text.readableBytesView, as: UTF8.self) != nil
        if rejection.refusal.code == .notUTF8 || !isUTF8 {
            hub.metrics.refused(.notUTF8)
            return close(.notUTF8)
        }
        if case .live = phase {
            refuse(rejection.refusal, ref: rejection.ref)
        } else {
            bye(rejection.refusal)
        }
    }

    private func take(_ frame: ClientFrame) {
        guard case .live(let session) = phase else {
            guard case .hello(let token, let cursor) = frame else {
                return bye(Refusal(.outOfOrder, "The first frame must be `hello`."))
            }
            return attach(token, cursor)
        }
        switch frame {
        case .hello:
            refuse(Refusal(.outOfOrder, "This session is live already; `hello` comes only once."), ref: nil)
        case .send(let message): send(message, through: session)
        case .receipt(let thread, let delivered, let read):
            var mark = LinkMarkReceipt()
            mark.thread = thread.rawValue
            mark.delivered = delivered ?? 0
            mark.read = read ?? 0
            session.mark(mark)
        case .ping(let ref): write(.pong(ref: ref))
        case .route: tellRoute()
        }
    }

    private func attach(_ text: Sealed<String>, _ cursor: LogCursor?) {
        guard let token = SessionToken(text: text.open) else { return bye(SessionToken.refusal) }
        guard !hub.isDraining else {
            return bye(
                Refusal(
                    .unavailable, "This server is going; connect to another.", retryAfterMilliseconds: 500))
        }
        guard let eventLoop = context?.eventLoop else { return }
        let sink = LiveSink(mailbox: mailbox, session: NIOLoopBound(self, eventLoop: eventLoop))
        let session = pool.open(token: token.bytes, cursor: cursor, sink: sink)
        phase = .attaching(session)
        loop.attach(self, number: session.id)
        hub.attached(session.id, at: mailbox)
        dueWithin(hub.limits.helloTimeout)
    }

    private func send(_ frame: SendFrame, through session: LinkSession) {
        if let refusal = Refusal(checking: frame.text.open, against: hub.messageLimits) {
            return refuse(refusal, ref: frame.ref)
        }
        var message = LinkSendMessage()
        message.thread = frame.thread.rawValue
        message.clientID = frame.clientID
        message.text = frame.text.open
        message.priority = UInt32(frame.priority.rawValue)
        guard let eventLoop = context?.eventLoop else { return }
        sendsInFlight += 1
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        session.send(message) { [mailbox, ref = frame.ref] result in
            let outcome = result.map {
                LiveAcknowledgement(
                    position: $0.position, number: $0.number, at: Timestamp(microseconds: $0.at))
            }
            mailbox.post(.answered(bound, ref, outcome))
        }
    }
}
