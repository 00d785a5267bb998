import Domain
import NIOCore
import NIOPosix
import ServiceLink
import SwiftProtobuf
import TestSupport
import Testing
import TransportSecurity

/// A process that uses the service link as a Web Service does, and keeps what is delivered to its sessions.
final class WebProcess: Sendable {
    let pool: LinkPool
    /// Its own, so that reading what is long holds up no other test.
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    fileprivate let delivered: Delivered
    /// How far a server has said last that quiet sessions have been delivered to.
    var followed: Watched<LogPosition?> { delivered.furthest }

    fileprivate final class Delivered: LinkPoolEvents {
        let entries = Watched<[UInt64: [LogEntry]]>([:])
        let furthest = Watched<LogPosition?>(nil)

        func followed(_ customer: Int64, to cursor: LogCursor) {
            furthest.change { $0 = cursor.position }
        }

        func deliver(_ items: [LinkDelivery.Item], epoch: LogEpoch) {
            entries.change { entries in
                for item in items {
                    for session in item.sessions {
                        entries[session, default: []].append(LogEntry(item.entry))
                    }
                }
            }
        }
    }

    init(_ servers: ServerList, _ limits: LinkLimits, _ security: SecurityFiles? = nil) throws {
        delivered = Delivered()
        pool = LinkPool(
            servers: servers, name: "test", software: "test", limits: limits, security: security,
            events: delivered,
            group: group, logger: quietLogger)
        pool.start()
    }

    func stop() async {
        await pool.stop()
        do { try await group.shutdownGracefully() } catch { Issue.record(error) }
    }

    /// Logs in and answers the token.
    func logIn(
        _ login: String, password: String = ServiceUnderTest.password, customer: String = ""
    ) async throws -> [UInt8] {
        let attempt = LinkLogIn.with {
            $0.login = login
            $0.password = password
            $0.customer = customer
            $0.deviceName = "phone"
        }
        let answer = try await pool.request(.logIn(attempt), token: nil)
        guard case .loggedIn(let loggedIn) = answer else { throw UnexpectedAnswer() }
        return Array(loggedIn.token)
    }

    /// Opens a live session and waits until it is attached, or ended.
    func attach(_ token: [UInt8], cursor: LogCursor? = nil) async -> TestSession {
        let sink = TestSession.Sink()
        let link = pool.open(token: token, cursor: cursor, sink: sink)
        await sink.events.until { !$0.isEmpty }
        return TestSession(link: link, sink: sink, web: self)
    }

    /// Logs in and opens a live session.
    func session(_ login: String) async throws -> TestSession { await attach(try await logIn(login)) }

    /// Sends a message outside any live session, as REST does.
    func post(
        _ text: String, in thread: MessageThread.ID, token: [UInt8], clientID: ClientID = .random(),
        deadline: Duration? = nil
    ) async throws -> LinkAccepted {
        let message = LinkSendMessage(text, in: thread, clientID)
        let answer = try await pool.request(.sendMessage(message), token: token, deadline: deadline)
        guard case .accepted(let accepted) = answer else { throw UnexpectedAnswer() }
        return accepted
    }

    /// The refusal that a request gets; nil when it was answered.
    func refusal(_ body: LinkRequest.OneOf_Body, token: [UInt8]?, deadline: Duration? = nil) async -> Refusal
        .Code?
    {
        do throws(Refusal) {
            _ = try await pool.request(body, token: token, deadline: deadline)
            return nil
        } catch {
            return error.code
        }
    }
}

struct UnexpectedAnswer: Error {}

/// A live session of a web process, with all that happened to it.
struct TestSession: Sendable {
    enum Event: Sendable, Equatable {
        case attached(LogCursor, resync: Bool)
        case resync(LogCursor)
        case ended(Refusal.Code)
    }

    final class Sink: LinkSessionSink {
        let events = Watched<[Event]>([])
        /// What the last resync said of the log.
        let otherLog = Watched<Bool?>(nil)
        /// The servers that it was attached to, one after the other.
        let servers = Watched<[BindAddress]>([])

        func attached(_ attached: LinkAttached) {
            events.change { $0.append(.attached(attached.cursor, resync: attached.resync)) }
        }
        func moved(to server: BindAddress) { servers.change { $0.append(server) } }
        func resync(at cursor: LogCursor, otherLog: Bool) {
            self.otherLog.change { $0 = otherLog }
            events.change { $0.append(.resync(cursor)) }
        }
        func ended(_ refusal: Refusal) { events.change { $0.append(.ended(refusal.code)) } }
    }

    let link: LinkSession
    let sink: Sink
    let web: WebProcess

    /// What has been delivered to it so far, in order.
    var entries: [LogEntry] { web.delivered.entries.value[link.id] ?? [] }
    var texts: [String] { entries.compactMap(\.text) }

    /// Where it was attached.
    var cursor: LogCursor {
        guard case .attached(let cursor, _)? = sink.events.value.first else {
            Issue.record("the session is not attached: \(sink.events.value)")
            return LogCursor(epoch: .random(), position: 0)
        }
        return cursor
    }

    /// Waits until what was delivered meets a condition.
    func until(
        within limit: Duration = .seconds(15), sourceLocation: SourceLocation = #_sourceLocation,
        _ isMet: @escaping @Sendable ([LogEntry]) -> Bool
    ) async {
        let id = link.id
        await web.delivered.entries.until(within: limit, sourceLocation: sourceLocation) {
            isMet($0[id] ?? [])
        }
    }

    func until(
        text: String, within limit: Duration = .seconds(15), sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await until(within: limit, sourceLocation: sourceLocation) { $0.contains { $0.text == text } }
    }

    func send(
        _ text: String, in thread: MessageThread.ID, clientID: ClientID = .random()
    ) async -> Result<LinkAccepted, Refusal> {
        await withCheckedContinuation { waiting in
            link.send(LinkSendMessage(text, in: thread, clientID)) { waiting.resume(returning: $0) }
        }
    }

    func mark(_ thread: MessageThread.ID, delivered: EntryNumber = 0, read: EntryNumber = 0) {
        link.mark(
            LinkMarkReceipt.with {
                $0.thread = thread.rawValue
                $0.delivered = delivered
                $0.read = read
            })
    }
}

extension LinkSendMessage {
    init(_ text: String, in thread: MessageThread.ID, _ clientID: ClientID) {
        self.init()
        self.thread = thread.rawValue
        self.text = text
        self.clientID = clientID
    }
}

extension Result where Failure == Refusal {
    var refusal: Refusal.Code? { if case .failure(let refusal) = self { refusal.code } else { nil } }
}
