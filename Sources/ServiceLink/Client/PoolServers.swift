import DequeModule
import Domain
import Failpoints
import Foundation
import Logging
import NIOCore
import NIOPosix
import Observability
import SwiftProtobuf
import TransportSecurity

/// The servers: connecting, health, leaving one for another.
extension PoolCore {
    enum Reason {
        case lost
        case silent
        case refusing(String)
        case draining

        var text: String {
            switch self {
            case .lost: "the connection was lost"
            case .silent: "it does not answer"
            case .refusing(let message): "it refuses: \(message)"
            case .draining: "it is going"
            }
        }

        /// Whether repeating what was in flight is outside the retry budget: it happens once per loss, by
        /// itself.
        var isFree: Bool { if case .refusing = self { false } else { true } }
    }

    // MARK: Choosing

    /// A healthy server that may attach one more session; in turn, the avoided one only when there is no
    /// other.
    func pickForSession(avoiding avoided: Int?) -> ServerConnection? {
        pick(avoiding: avoided) {
            $0.state == .healthy && ($0.connection?.attaching ?? 0) < limits.attachWindow
        }
    }

    /// A healthy server, or one that is going where no other is left.
    func pickForRequest(avoiding avoided: Int?) -> ServerConnection? {
        pick(avoiding: avoided) { $0.state == .healthy } ?? pick(avoiding: nil) { $0.state == .draining }
    }

    private func pick(avoiding avoided: Int?, where isGood: (PoolServer) -> Bool) -> ServerConnection? {
        var fallback: ServerConnection?
        for offset in 0..<servers.count {
            let index = (nextServer + offset) % servers.count
            guard let connection = servers[index].connection, isGood(servers[index]) else { continue }
            guard index != avoided else {
                fallback = connection
                continue
            }
            nextServer = (index + 1) % servers.count
            return connection
        }
        return fallback
    }

    // MARK: Connecting

    private func connect(_ server: PoolServer) {
        server.isConnecting = true
        let (index, host) = (server.index, server.address.host)
        ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(limits.connectWithin))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try security?.secureClient(channel, to: host)
                    try channel.pipeline.syncOperations.addHandler(LinkClientHandler(core: self))
                }
            }
            .connect(host: host, port: server.address.port)
            .hop(to: loop)
            .whenComplete { [self] result in connected(servers[index], result) }
    }

    private func connected(_ server: PoolServer, _ result: Result<any Channel, any Error>) {
        now = .now()
        server.isConnecting = false
        do {
            let channel = try result.get()
            guard phase == .running else { return channel.close(promise: nil) }
            guard channel.isActive else {
                channel.close(promise: nil)
                return failed(server, LinkClientHandler.endedBeforeHello)
            }
            let handler = try channel.pipeline.syncOperations.handler(type: LinkClientHandler.self)
            let connection = ServerConnection(server: server, channel: channel, limits: limits, now: now)
            handler.connection = connection
            server.connection = connection
            counters.connections.add(1)
            connection.outbox.append(try EncodedFrame(.hello, hello))
        } catch {
            failed(server, "\(error)")
        }
    }

    func failed(_ server: PoolServer, _ problem: String) {
        server.retryAt = now + jittered(limits.probeEvery)
        if server.state == .connecting { set(server, .unreachable) }
        guard server.lastProblem != problem else { return }
        server.lastProblem = problem
        logger.warning(
            "ASM Service cannot be reached",
            metadata: ["link.server": "\(server.address)", "link.reason": "\(problem)"])
    }

    /// Within a fifth of the duration, so that many processes do not come back at once.
    private func jittered(_ duration: Duration) -> TimeAmount {
        TimeAmount(duration * Double.random(in: 0.8...1.2))
    }

    // MARK: What servers say

    func received(_ kind: LinkFrame.OneOf_Kind, on connection: ServerConnection) {
        loop.assertInEventLoop()
        guard !connection.isLost else { return }
        switch kind {
        case .response(let response): received(response, on: connection)
        case .delivery(let delivery): received(delivery, on: connection)
        case .pong: break
        case .ping(let ping):
            connection.send(LinkFrame.with { $0.pong = ping })
        case .sessionEnded(let notice): received(notice, on: connection)
        case .followed(let followed): received(followed, on: connection)
        case .draining:
            guard connection.server.state != .draining else { break }
            leave(connection, because: .draining)
        case .hello(let hello): greeted(by: hello, on: connection)
        case .request: break
        }
    }

    private func received(_ response: LinkResponse, on connection: ServerConnection) {
        guard let asked = connection.take(response.id) else { return }
        let body = sound(response, from: connection)
        switch asked {
        case .send(let send): answered(send, id: response.id, body, on: connection)
        case .request(let request): answered(request, id: response.id, body, on: connection)
        case .attach(let session): answered(session, id: response.id, body, on: connection)
        case .status: received(status: body, on: connection)
        }
    }

    /// What the answer says; nil, as for a kind that is not known here, when a number in it cannot be.
    private func sound(
        _ response: LinkResponse, from connection: ServerConnection
    ) -> LinkResponse.OneOf_Body? {
        guard let fault = response.fault else { return response.body }
        logger.error(
            "An ASM Service gave an answer that makes no sense",
            metadata: ["link.server": "\(connection.server.address)", "link.reason": "\(fault)"])
        return nil
    }

    private func greeted(by hello: LinkHello, on connection: ServerConnection) {
        let versions = LinkVersions(hello)
        guard limits.versions.agreed(with: versions) != nil else {
            let problem =
                "\(FrameError.otherVersions(versions)) (\(hello.name.prefix(128)) \(hello.software.prefix(128)))"
            failed(connection.server, problem)
            return leave(connection, because: .lost)
        }
        guard !connection.isGreeted else { return }
        connection.isGreeted = true
        // It may be starting still: it is given work when it has answered that it serves.
        connection.server.retryAt = now + TimeAmount(limits.pongWithin)
        askStatus(connection)
    }

    private func askStatus(_ connection: ServerConnection) {
        let deadline = now + TimeAmount(limits.pongWithin)
        var request = LinkRequest()
        request.id = nextRequestID()
        request.deadlineMilliseconds = milliseconds(until: deadline)
        request.body = .getStatus(LinkGetStatus())
        guard let frame = encode(request) else { return }
        connection.ask(.status, frame, id: request.id, until: deadline)
    }

    private func received(status body: LinkResponse.OneOf_Body?, on connection: ServerConnection) {
        let server = connection.server
        let problem: String? =
            switch body {
            case .status(let status) where !["", "active"].contains(status.state):
                "\(status.state) \(status.reason)"
            case .refused(let refused) where refused.code == Refusal.Code.unavailable.rawValue:
                refused.message
            default: nil
            }
        switch (server.state, problem) {
        case (.healthy, .some(let problem)): leave(connection, because: .refusing(problem))
        case (.refusing, nil), (.connecting, nil), (.unreachable, nil): becameHealthy(server)
        case (.refusing, .some): server.retryAt = now + jittered(limits.probeEvery)
        case (.connecting, .some(let problem)), (.unreachable, .some(let problem)):
            server.retryAt = now + jittered(limits.probeEvery)
            set(server, .refusing)
            guard server.lastProblem != problem else { break }
            server.lastProblem = problem
            logger.notice(
                "ASM Service does not serve yet",
                metadata: ["link.server": "\(server.address)", "link.reason": "\(problem)"])
        case (.healthy, nil), (.draining, _): break
        }
    }

    // MARK: Health

    private func set(_ server: PoolServer, _ state: ServerHealth.State) {
        server.state = state
        server.since = now
        publish()
    }

    private func becameHealthy(_ server: PoolServer) {
        server.lastProblem = nil
        set(server, .healthy)
        logger.notice("ASM Service is healthy", metadata: ["link.server": "\(server.address)"])
        dispatchWaiting()
        attachWaiting()
        for other in servers where other.state == .draining {
            if let connection = other.connection { moveSessions(from: connection, isFree: true) }
        }
    }

    /// Gives a server up, for a moment or until it is connected again; its sessions and requests go
    /// elsewhere.
    func leave(_ connection: ServerConnection, because reason: Reason) {
        let server = connection.server
        guard !connection.isLost else { return }
        let wasHealthy = server.state == .healthy
        switch reason {
        case .lost, .silent:
            connection.isLost = true
            server.connection = nil
            counters.connections.add(-1)
            connection.channel.close(promise: nil)
            server.retryAt = now + jittered(wasHealthy ? limits.firstProbeAfter : limits.probeEvery)
            set(server, .unreachable)
        case .refusing:
            guard wasHealthy else { return }
            server.retryAt = now + jittered(limits.probeEvery)
            set(server, .refusing)
        case .draining: set(server, .draining)
        }
        if wasHealthy {
            counters.failovers.add()
            logger.warning(
                "ASM Service left",
                metadata: ["link.server": "\(server.address)", "link.reason": "\(reason.text)"])
        }
        // A server that is going keeps its sessions until there is another one for them.
        if server.state != .draining || servers.contains(where: { $0.state == .healthy }) {
            moveSessions(from: connection, isFree: reason.isFree)
        }
        if connection.isLost {
            for (id, asked) in connection.takeAll() {
                if case .request(let request) = asked, request.attemptID == id {
                    retry(request, isFree: true)
                }
            }
        }
    }

    private func moveSessions(from connection: ServerConnection, isFree: Bool) {
        for session in Array(sessions.values) where session.connection === connection {
            move(session, isFree: isFree)
        }
        attachWaiting()
    }

    // MARK: The sweep

    /// Looks at all times: of servers, of requests, of the retry budget.
    func sweepAll() {
        loop.assertInEventLoop()
        now = .now()
        let hasStalled = now - sweptAt > TimeAmount(limits.stall)
        sweptAt = now
        budget.roll(at: now)
        for server in servers {
            if let connection = server.connection {
                if hasStalled { connection.heardAt = now }
                sweep(connection)
            } else if !server.isConnecting, server.retryAt <= now {
                connect(server)
            }
        }
        expireWaitingRequests()
        waiting.removeAll { !$0.isWaiting }
        for session in waiting { expireSends(of: session) }
        attachWaiting()
        publish()
    }

    private func sweep(_ connection: ServerConnection) {
        let silence = now - connection.heardAt
        guard connection.isGreeted else {
            if silence > TimeAmount(limits.helloWithin) {
                failed(connection.server, "it accepts connections and says nothing")
                leave(connection, because: .silent)
            }
            return
        }
        if silence > TimeAmount(limits.pongWithin) { return leave(connection, because: .silent) }
        if connection.pingAt <= now {
            connection.pingAt = now + TimeAmount(limits.pingEvery)
            #if FAILPOINTS
                if NextVersion.isRunning { speakAsNext(to: connection) }
            #endif
            // A server that is there may still be unable to serve: one that lost its database, or was superseded.
            if connection.server.state == .healthy {
                askStatus(connection)
            } else {
                connection.send(LinkFrame.with { $0.ping = LinkPing() })
            }
        }
        let server = connection.server
        if server.state != .healthy, server.state != .draining, server.retryAt <= now {
            server.retryAt = now + TimeAmount(limits.pongWithin)
            askStatus(connection)
        }
        if server.state == .draining, server.sessions == 0, connection.attaching == 0, connection.isIdle {
            return leave(connection, because: .lost)
        }
        for (id, asked) in connection.takeOverdue(at: now) { overdue(asked, id: id, on: connection) }
    }

    private func overdue(_ asked: ServerConnection.Asked, id: UInt64, on connection: ServerConnection) {
        switch asked {
        case .send(let send):
            guard !send.isDone, send.attemptID == id else { return }
            if send.deadline <= now { return fail(from: send) }
            if send.session.connection === connection { move(send.session, isFree: false) }
        case .request(let request):
            if request.attemptID == id { retry(request, isFree: false) }
        case .attach(let session):
            connection.attaching -= 1
            if session.connection === connection, session.attachID == id { move(session, isFree: false) }
        case .status: break
        }
    }
}

#if FAILPOINTS
    extension PoolCore {
        /// Says what only the next version knows; an older server must pass over the one and answer the other.
        fileprivate func speakAsNext(to connection: ServerConnection) {
            connection.outbox.append(NextLink.frame)
            let id = nextRequestID()
            guard let request = NextLink.request(id: id) else { return }
            connection.ask(.status, request, id: id, until: now + TimeAmount(limits.pongWithin))
        }
    }
#endif
