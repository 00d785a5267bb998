import ASMClient
import Domain
import Foundation
import NIOCore
import Synchronization
import Synthetic

/// Asks for everything that costs a server much, as fast as it is answered.
final class Attack: Sendable {
    private static let longTextBytes = 8_192
    /// A pause after a connection was refused, so that the attack is on the servers and not on this process.
    private static let reconnectPause = Duration.milliseconds(50)

    private let accounts: SyntheticAccounts
    private let attackers: [SyntheticAccount]
    private let group: any EventLoopGroup
    private let thread: MessageThread.ID
    private let head: String
    private let oldest: String
    private let counts = Mutex<[String: Int]>([:])

    init(accounts: SyntheticAccounts, attackers: [SyntheticAccount], on group: any EventLoopGroup)
        async throws
    {
        self.accounts = accounts
        self.attackers = attackers
        self.group = group
        thread = try await accounts.web.createThread(
            id: .random(), participants: attackers.map(\.user), subject: "attack", token: attackers[0].token)
        let inbox = try await accounts.web.inbox(before: nil, limit: 1, token: attackers[0].token)
        guard let cursor = inbox.cursor else {
            throw MessagingError(code: "bad-answer", message: "The inbox has no cursor.")
        }
        head = "\(cursor)"
        oldest = "\(LogCursor(epoch: cursor.epoch, position: 1))"
    }

    /// How many answers came, by status or what happened instead.
    var tally: [String: Int] { counts.withLock { $0 } }

    private func count(_ what: String) { counts.withLock { $0[what, default: 0] += 1 } }

    /// Attacks over one connection until cancelled.
    func run(_ index: Int) async {
        // The first has the many threads.
        let account = index % 2 == 0 ? attackers[0] : attackers[index % attackers.count]
        let address = accounts.web.addresses[index % accounts.web.addresses.count]
        while !Task.isCancelled {
            do {
                if index % 11 == 10 {
                    try await attachAndLeave(account, address)
                } else {
                    try await ask(index, account, address)
                }
            } catch {
                count("no answer")
            }
            // Ends early only when the attack does.
            try? await Task.sleep(for: Self.reconnectPause)
        }
    }

    private func ask(_ index: Int, _ account: SyntheticAccount, _ address: WebAddress) async throws {
        let connection = try await PlainConnection.connect(to: address, on: group.next())
        defer { connection.close() }
        var number = 0
        while !Task.isCancelled {
            let request = self.request(index % 11, number, account)
            let status = try await withTaskCancellationHandler {
                try await connection.ask(
                    request.method, request.path, token: request.token, body: request.body)
            } onCancel: {
                connection.close()
            }
            count("\(status)")
            number += 1
        }
    }

    private struct Request {
        var method = "GET"
        let path: String
        var token: Sealed<String>?
        var body = ""
    }

    private func request(_ kind: Int, _ number: Int, _ account: SyntheticAccount) -> Request {
        let token = account.token
        switch kind {
        case 0, 1: return Request(path: "/v1/entries?after=\(oldest)", token: token)
        case 2, 3: return Request(path: "/v1/threads?limit=200", token: token)
        case 4: return Request(path: "/v1/threads?limit=200&before=\(50_000 + number)", token: token)
        case 5: return Request(path: "/v1/threads/\(thread)/entries?limit=500", token: token)
        case 6: return Request(path: "/v1/users?limit=200&search=a", token: token)
        case 7: return Request(path: "/v1/entries?after=\(head)&wait=30", token: token)
        case 8:
            let text = String(repeating: "x", count: Self.longTextBytes)
            return Request(
                method: "POST", path: "/v1/threads/\(thread)/messages", token: token,
                body: #"{"clientId":"\#(ClientID.random())","text":"\#(text)"}"#)
        case 9 where number % 2 == 0:
            return Request(
                method: "POST", path: "/v1/threads", token: token,
                body: #"{"clientId":"\#(ClientID.random())","participants":["\#(account.user)"]}"#)
        default:
            return Request(
                method: "POST", path: "/v1/sessions",
                body: #"{"login":"\#(account.login)","password":"wrong"}"#)
        }
    }

    /// Connects live from far behind, and goes as soon as it is welcomed.
    private func attachAndLeave(_ account: SyntheticAccount, _ address: WebAddress) async throws {
        let loop = group.next()
        let ended = loop.makePromise(of: Void.self)
        let cursor = LogCursor(oldest)
        do {
            let connection = try await LiveConnection.connect(
                to: address, on: loop, security: accounts.security, from: try PlainConnection.localAddress()
            ) { PassingClient(account: account, cursor: cursor, ended: ended) }
            try await withTaskCancellationHandler {
                try await ended.futureResult.get()
            } onCancel: {
                connection.close()
            }
            connection.close()
            count("live")
        } catch {
            ended.fail(error)
            throw error
        }
    }
}

/// A live client that goes as soon as it is welcomed.
private final class PassingClient: LiveHandler {
    private let account: SyntheticAccount
    private let cursor: LogCursor?
    private let ended: EventLoopPromise<Void>

    init(account: SyntheticAccount, cursor: LogCursor?, ended: EventLoopPromise<Void>) {
        self.account = account
        self.cursor = cursor
        self.ended = ended
    }

    func opened(_ outlet: LiveOutlet) { outlet.send(.hello(token: account.token, cursor: cursor)) }

    func received(_ frame: ServerFrame) {
        switch frame {
        case .welcome, .bye: ended.succeed()
        default: break
        }
    }

    func readEnded() {}

    func closed(_ end: LiveEnd) { ended.fail(end) }
}
