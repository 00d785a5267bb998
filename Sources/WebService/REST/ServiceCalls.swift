import Domain
import ServiceLink

/// What the Web Service asks of the ASM Services: one function per request, each with the answer that belongs to it.
struct ServiceCalls: Sendable {
    let pool: LinkPool

    func logIn(_ request: LinkLogIn) async throws(Refusal) -> LinkLoggedIn {
        guard case .loggedIn(let answer) = try await pool.request(.logIn(request), token: nil) else {
            throw Self.unexpected
        }
        return answer
    }

    func logOut(_ token: SessionToken) async throws(Refusal) {
        guard case .done = try await pool.request(.logOut(.init()), token: token.bytes) else {
            throw Self.unexpected
        }
    }

    func whoAmI(_ token: SessionToken) async throws(Refusal) -> LinkIdentity {
        guard case .identity(let answer) = try await pool.request(.whoAmI(.init()), token: token.bytes) else {
            throw Self.unexpected
        }
        return answer
    }

    func findUsers(_ request: LinkFindUsers, _ token: SessionToken) async throws(Refusal) -> LinkUsers {
        guard case .users(let answer) = try await pool.request(.findUsers(request), token: token.bytes) else {
            throw Self.unexpected
        }
        return answer
    }

    func inbox(_ request: LinkGetInbox, _ token: SessionToken) async throws(Refusal) -> LinkInbox {
        guard case .inbox(let answer) = try await pool.request(.getInbox(request), token: token.bytes) else {
            throw Self.unexpected
        }
        return answer
    }

    func thread(_ id: MessageThread.ID, _ token: SessionToken) async throws(Refusal) -> LinkThread {
        var request = LinkGetThread()
        request.thread = id.rawValue
        guard case .thread(let answer) = try await pool.request(.getThread(request), token: token.bytes)
        else {
            throw Self.unexpected
        }
        return answer
    }

    func history(_ request: LinkGetHistory, _ token: SessionToken) async throws(Refusal) -> LinkHistory {
        guard case .history(let answer) = try await pool.request(.getHistory(request), token: token.bytes)
        else {
            throw Self.unexpected
        }
        return answer
    }

    func message(_ request: LinkGetMessage, _ token: SessionToken) async throws(Refusal) -> LinkMessageDetails
    {
        let body = LinkRequest.OneOf_Body.getMessage(request)
        guard case .messageDetails(let answer) = try await pool.request(body, token: token.bytes) else {
            throw Self.unexpected
        }
        return answer
    }

    /// Asks for something that becomes an entry of the log.
    func append(_ body: LinkRequest.OneOf_Body, _ token: SessionToken) async throws(Refusal) -> LinkAccepted {
        switch try await pool.request(body, token: token.bytes) {
        case .accepted(let answer), .threadCreated(let answer): return answer
        default: throw Self.unexpected
        }
    }

    func mark(_ receipt: LinkMarkReceipt, _ token: SessionToken) async throws(Refusal) {
        guard case .done = try await pool.request(.markReceipt(receipt), token: token.bytes) else {
            throw Self.unexpected
        }
    }

    func readLog(_ request: LinkReadLog, _ token: SessionToken) async throws(Refusal) -> LinkLogPage {
        guard case .logPage(let answer) = try await pool.request(.readLog(request), token: token.bytes) else {
            throw Self.unexpected
        }
        return answer
    }

    private static let unexpected = Refusal(
        .internalError, "The ASM Service gave an answer that does not fit.")
}
