import ASMClient
import Domain
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Synchronization

/// A Web Service of one user with a log in memory, that misbehaves as it is told.
final class FakeWeb: Sendable {
    /// What is to go wrong on one connection.
    enum Fault: Sendable {
        /// Stores the message that is the n-th frame after `hello`, and hangs up instead of answering.
        case hangUpAtFrame(Int)
        /// Sends the whole log again to a client that has a cursor.
        case replay
        /// Never sends the entries of these numbers live.
        case swallow(ClosedRange<EntryNumber>)
        /// Cannot resume.
        case resync
        /// Cannot resume, because its log is another one, under the same epoch.
        case otherLog
        case draining
        case bye(Refusal)
        /// Refuses the first message for now.
        case refuseOnce(Refusal.Code)
        /// Says nothing after the welcome.
        case mute
        /// Closes with this code instead of taking a message with this text.
        case closesAt(String, code: Int)
    }

    struct State {
        var log: [LogEntry] = []
        var faults: [Fault?] = []
        var connections = 0
        var cursors: [LogCursor?] = []
        /// The texts of the messages in the order in which they were stored.
        var stored: [String] = []
        var repeated = 0
        var positions: [ClientID: LogEntry] = [:]
        var receipts: [EntryNumber] = []
        var live: [ObjectIdentifier: NIOLoopBound<FakeLiveHandler>] = [:]
        var historyRequests = 0
        /// Which request for history, counted from 1, is answered with this refusal.
        var historyRefusals: [Int: Refusal.Code] = [:]
        /// How many entries a page of history has at most, whatever is asked for.
        var historyPage = Int.max
    }

    static let epoch = LogEpoch.random()
    static let thread = MessageThread.ID(rawValue: 7)
    static let user = User.ID(rawValue: 1)
    static let other = User.ID(rawValue: 2)

    let state: Mutex<State>
    let changed = Changes()

    /// - Parameter faults: one for each connection, in order; nil and those after the last behave well.
    init(faults: [Fault?] = []) {
        var state = State()
        state.faults = faults
        self.state = Mutex(state)
    }

    /// Appends a message of somebody else and sends it to the connected clients.
    func say(_ text: String) {
        let (entry, live) = state.withLock { state in
            (state.append(text, author: Self.other, clientID: .random()), Array(state.live.values))
        }
        for handler in live {
            handler.eventLoop.execute { handler.value.push([entry]) }
        }
    }

    /// Serves on a free port while `body` runs.
    func serve(_ body: (WebAddress) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                let upgrader = NIOWebSocketServerUpgrader(
                    shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
                    upgradePipelineHandler: { channel, _ in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(FakeLiveHandler(web: self))
                        }
                    })
                return channel.eventLoop.makeCompletedFuture {
                    let http = FakeHTTPHandler(web: self)
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withServerUpgrade: (
                            upgraders: [upgrader],
                            completionHandler: { context in
                                context.pipeline.syncOperations.removeHandler(name: "http", promise: nil)
                            }
                        ))
                    try channel.pipeline.syncOperations.addHandler(http, name: "http")
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        do {
            try await body(WebAddress("http://127.0.0.1:\(port)"))
            try await server.close()
        } catch {
            try await server.close()
            throw error
        }
    }

    /// Waits until the state is as wanted.
    func until(_ isWanted: @escaping @Sendable (borrowing State) -> Bool) async {
        for await _ in changed.stream() {
            if state.withLock({ isWanted($0) }) { return }
        }
    }
}

extension FakeWeb.State {
    mutating func append(_ text: String, author: User.ID, clientID: ClientID) -> LogEntry {
        let entry = LogEntry(
            position: LogPosition(log.count + 1), thread: FakeWeb.thread, number: EntryNumber(log.count + 1),
            author: author, device: nil, clientID: clientID, at: Timestamp(microseconds: 1_000),
            content: .message(text: Sealed(text), priority: .normal))
        log.append(entry)
        return entry
    }

    var head: LogCursor { LogCursor(epoch: FakeWeb.epoch, position: LogPosition(log.count)) }
}

/// Wakes those who wait for a state, at least once after each change.
final class Changes: Sendable {
    private let waiting = Mutex<[AsyncStream<Void>.Continuation]>([])

    func stream() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        waiting.withLock { $0.append(continuation) }
        continuation.yield()
        return stream
    }

    func signal() { for continuation in waiting.withLock({ $0 }) { continuation.yield() } }
}

/// The WebSocket's end in the fake service.
final class FakeLiveHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let web: FakeWeb
    private var fault: FakeWeb.Fault?
    private var context: ChannelHandlerContext?
    private var frames = 0

    init(web: FakeWeb) { self.web = web }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        web.state.withLock { _ = $0.live.removeValue(forKey: ObjectIdentifier(self)) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard frame.opcode == .text else {
            if frame.opcode == .connectionClose { context.close(promise: nil) }
            return
        }
        var text = frame.unmaskedData
        let bytes = text.readBytes(length: text.readableBytes) ?? []
        guard let read = try? bytes.withUnsafeBufferPointer({ try ClientFrame.decode($0) }) else {
            return context.close(promise: nil)
        }
        take(read)
        web.changed.signal()
    }

    func push(_ entries: [LogEntry]) {
        var sent = entries
        if case .swallow(let numbers) = fault { sent.removeAll { numbers.contains($0.number ?? 0) } }
        if case .mute = fault { return }
        guard let last = sent.last else { return }
        send(.entries(cursor: LogCursor(epoch: FakeWeb.epoch, position: last.position), sent))
    }

    private func take(_ frame: ClientFrame) {
        if case .hello(_, let cursor) = frame { return welcome(cursor) }
        frames += 1
        switch frame {
        case .send(let frame): store(frame)
        case .receipt(_, let delivered, _):
            web.state.withLock { $0.receipts.append(delivered ?? 0) }
        case .ping(let ref):
            if case .mute = fault { return }
            send(.pong(ref: ref))
        case .hello, .route: break
        }
    }

    private func welcome(_ cursor: LogCursor?) {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let (fault, head, missed) = web.state.withLock { state in
            let fault = state.connections < state.faults.count ? state.faults[state.connections] : nil
            state.connections += 1
            state.cursors.append(cursor)
            state.live[ObjectIdentifier(self)] = bound
            return (fault, state.head, state.log)
        }
        self.fault = fault
        if case .bye(let refusal) = fault {
            send(.bye(refusal))
            context.close(promise: nil)
            return
        }
        var isResync = false
        if case .resync = fault { isResync = true }
        var otherLog = false
        if case .otherLog = fault { (isResync, otherLog) = (true, true) }
        send(
            .welcome(
                user: FakeWeb.user, device: Device.ID(rawValue: 1), cursor: head, resync: isResync,
                otherLog: otherLog))
        if case .draining = fault { return send(.draining(reconnectAfterMilliseconds: 10)) }
        var from = cursor?.position ?? head.position
        if case .replay = fault { from = 0 }
        if !isResync { push(missed.filter { $0.position > from }) }
    }

    private func store(_ frame: SendFrame) {
        if case .closesAt(frame.text.open, let code) = fault {
            return close(code)
        }
        if case .refuseOnce(let code) = fault {
            fault = nil
            return send(.refused(ref: frame.ref, Refusal(code, "later", retryAfterMilliseconds: 1)))
        }
        let entry = web.state.withLock { state in
            if let entry = state.positions[frame.clientID] {
                state.repeated += 1
                return entry
            }
            let entry = state.append(frame.text.open, author: FakeWeb.user, clientID: frame.clientID)
            state.positions[frame.clientID] = entry
            state.stored.append(frame.text.open)
            return entry
        }
        if case .hangUpAtFrame(let count) = fault, frames == count {
            context?.close(promise: nil)
            return
        }
        if frames > 0, case .hangUpAtFrame(let count) = fault, frames > count { return }
        send(.ack(ref: frame.ref, position: entry.position, number: entry.number ?? 0, at: entry.at))
    }

    private func close(_ code: Int) {
        guard let context else { return }
        var data = context.channel.allocator.buffer(capacity: 2)
        data.writeInteger(UInt16(code))
        self.context = nil
        context.writeAndFlush(
            wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)), promise: nil)
    }

    private func send(_ frame: ServerFrame) {
        guard let context else { return }
        var bytes: [UInt8] = []
        frame.encode(into: &bytes)
        let data = context.channel.allocator.buffer(bytes: bytes)
        context.writeAndFlush(
            wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: data)), promise: nil)
    }
}

/// The REST requests that a live client makes: history and inbox.
final class FakeHTTPHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let web: FakeWeb
    private var uri = ""

    init(web: FakeWeb) { self.web = web }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): uri = head.uri
        case .body: break
        case .end:
            let (status, body) = answer()
            web.changed.signal()
            var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
            head.headers.add(name: "Content-Length", value: "\(body.count)")
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private func answer() -> (status: Int, body: [UInt8]) {
        web.state.withLock { state in
            guard uri.contains("/entries") else {
                let inbox = """
                    {"cursor":"\(state.head)","threads":[{"id":"7","subject":"s","lastNumber":\(state.log.count),\
                    "lastPosition":\(state.log.count)}]}
                    """
                return (200, Array(inbox.utf8))
            }
            state.historyRequests += 1
            if let code = state.historyRefusals[state.historyRequests] {
                return (
                    code.httpStatus, Array(#"{"error":{"code":"\#(code.rawValue)","message":"no"}}"#.utf8)
                )
            }
            return (200, state.history(after: number("after"), before: number("before")))
        }
    }

    private func number(_ name: String) -> EntryNumber? {
        uri.split(whereSeparator: { "?&".contains($0) }).first { $0.hasPrefix("\(name)=") }
            .flatMap { EntryNumber($0.dropFirst(name.count + 1)) }
    }
}

extension FakeWeb.State {
    /// A page of the only thread's history as JSON.
    fileprivate func history(after: EntryNumber?, before: EntryNumber?) -> [UInt8] {
        let found = log.filter { ($0.number ?? 0) > after ?? 0 && ($0.number ?? 0) < before ?? .max }
        let page = after == nil ? Array(found.suffix(historyPage)) : Array(found.prefix(historyPage))
        var bytes = Array(#"{"more":\#(page.count < found.count),"entries":["#.utf8)
        for (index, entry) in page.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            entry.encodeJSON(into: &bytes)
        }
        return bytes + Array("]}".utf8)
    }
}
