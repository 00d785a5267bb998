import Domain
import ServiceLink
import SwiftProtobuf
import Synchronization

let testEpoch = LogEpoch(high: 7, low: 9)

/// What the servers of a test share, as the database is shared: messages once per client id, in order.
final class TestLog: Sendable {
    private struct State {
        var positions: [ClientID: Int64] = [:]
        var texts: [String] = []
        var replays = 0
    }

    private let state = Mutex(State())

    var texts: [String] { state.withLock { $0.texts } }
    var replays: Int { state.withLock { $0.replays } }

    func append(_ message: LinkSendMessage) -> LinkAccepted {
        state.withLock { state in
            var accepted = LinkAccepted()
            if let position = state.positions[message.clientID] {
                state.replays += 1
                accepted.position = position
                accepted.replayed = true
            } else {
                state.texts.append(message.text)
                accepted.position = Int64(state.texts.count)
                state.positions[message.clientID] = accepted.position
            }
            return accepted
        }
    }
}

/// A server's answers, made to measure.
final class TestService: LinkService {
    enum Answer {
        case usual
        case nothing
        case body(LinkResponse.OneOf_Body)
    }

    typealias Script = @Sendable (LinkRequest) -> Answer

    struct Attachment: Sendable {
        let connection: LinkConnection
        let cursor: LogCursor?
    }

    let log: TestLog
    let seen = Watched<[LinkRequest]>([])
    let attached = Watched<[UInt64: Attachment]>([:])
    let closedConnections = Watched(0)
    let openConnections = Watched<[UInt64: LinkConnection]>([:])
    private let script: Mutex<Script>

    init(log: TestLog = TestLog(), script: @escaping Script = { _ in .usual }) {
        self.log = log
        self.script = Mutex(script)
    }

    func follow(_ script: @escaping Script) { self.script.withLock { $0 = script } }

    func received(_ requests: [LinkRequest], from connection: LinkConnection) {
        openConnections.change { $0[connection.id] = connection }
        let script = script.withLock { $0 }
        var responses: [LinkResponse] = []
        for request in requests {
            let body: LinkResponse.OneOf_Body?
            switch script(request) {
            case .usual: body = usual(request, connection)
            case .nothing: body = nil
            case .body(let given): body = given
            }
            if request.id != 0, let body { responses.append(LinkResponse(id: request.id, body)) }
        }
        connection.send(responses)
        seen.change { $0 += requests }
    }

    func closed(_ connection: LinkConnection) {
        openConnections.change { $0[connection.id] = nil }
        attached.change { $0 = $0.filter { $0.value.connection !== connection } }
        closedConnections.change { $0 += 1 }
    }

    func deliver(_ positions: ClosedRange<Int64>, to sessions: [UInt64], on connection: LinkConnection) {
        connection.send(
            LinkDelivery.with { delivery in
                delivery.items = positions.map { position in
                    LinkDelivery.Item.with {
                        $0.entry = LinkEntry.with { $0.position = position }
                        $0.sessions = sessions
                    }
                }
            })
    }

    private func usual(_ request: LinkRequest, _ connection: LinkConnection) -> LinkResponse.OneOf_Body {
        switch request.body {
        case .getStatus: return .status(LinkStatus.with { $0.state = "active" })
        case .sendMessage(let message): return .accepted(log.append(message))
        case .findUsers(let find):
            return .users(LinkUsers.with { $0.users = [LinkUser.with { $0.name = find.search }] })
        case .attach(let attach):
            attached.change {
                $0[request.session] = Attachment(connection: connection, cursor: attach.cursor)
            }
            return .attached(
                LinkAttached.with {
                    $0.cursor = LogCursor(epoch: testEpoch, position: attach.cursor?.position ?? 0)
                })
        case .detach:
            attached.change { $0[request.session] = nil }
            return .done(LinkDone())
        default: return .done(LinkDone())
        }
    }
}

/// Keeps what a pool delivers.
final class TestEvents: LinkPoolEvents {
    struct Delivered: Sendable, Equatable {
        let position: Int64
        let sessions: [UInt64]
    }

    let delivered = Watched<[Delivered]>([])

    func deliver(_ items: [LinkDelivery.Item], epoch: LogEpoch) {
        delivered.change { $0 += items.map { Delivered(position: $0.entry.position, sessions: $0.sessions) } }
    }

    /// How often a server has said how far a log was followed.
    let notes = Watched(0)

    func followed(_ customer: Int64, to cursor: LogCursor) { notes.change { $0 += 1 } }

    var positions: [Int64] { delivered.value.map(\.position) }
}

/// Keeps what happens to a session.
final class TestSink: LinkSessionSink {
    enum Event: Sendable, Equatable {
        case attached(Int64)
        case resync(Int64)
        case ended(Refusal.Code)
    }

    let events = Watched<[Event]>([])
    /// The servers that it was attached to, one after the other.
    let servers = Watched<[String]>([])

    func moved(to server: BindAddress) { servers.change { $0.append("\(server)") } }
    func attached(_ attached: LinkAttached) { events.change { $0.append(.attached(attached.position)) } }
    func resync(at cursor: LogCursor, otherLog: Bool) {
        events.change { $0.append(.resync(cursor.position)) }
    }
    func ended(_ refusal: Refusal) { events.change { $0.append(.ended(refusal.code)) } }
}

extension [LinkRequest] {
    /// The messages among them, repeats included.
    var messages: [LinkSendMessage] {
        compactMap { if case .sendMessage(let message)? = $0.body { message } else { nil } }
    }
}
