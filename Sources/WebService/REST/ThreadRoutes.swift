import Domain
import Hummingbird
import ServiceLink

/// The inbox, threads with their history, and who takes part in them.
struct ThreadRoutes: Sendable {
    let calls: ServiceCalls
    let limits: WebServiceLimits
    let messageLimits: MessageLimits

    private static let inboxLimit: Int64 = 50
    private static let inboxLimits: ClosedRange<Int64> = 1...200
    private static let historyLimit: Int64 = 100
    private static let historyLimits: ClosedRange<Int64> = 1...500

    func register(on routes: inout Routes) {
        routes.on(ServiceAPI.createThread, create)
        routes.on(ServiceAPI.inbox, inbox)
        routes.on(ServiceAPI.thread, thread)
        routes.on(ServiceAPI.history, history)
        routes.on(ServiceAPI.addParticipants, addParticipants)
        routes.on(ServiceAPI.leaveThread, leave)
        routes.on(ServiceAPI.markReceipts, mark)
    }

    @Sendable private func create(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let body = try await request.json(as: CreateThreadBody.self, limits: limits)
        var create = LinkCreateThread()
        create.clientID = try request.clientID(inBody: body.clientId)
        create.subject = try checked(subject: body.subject ?? "")
        create.participants = try userIDs(body.participants, field: "participants", limits: messageLimits)
        return try .json(AcceptedBody(try await calls.append(.createThread(create), token)), status: .created)
    }

    @Sendable private func inbox(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        var get = LinkGetInbox()
        get.before = try request.number("before", in: LogRange.numbers) ?? 0
        get.limit = UInt32(try request.number("limit", in: Self.inboxLimits) ?? Self.inboxLimit)
        return try .json(InboxBody(try await calls.inbox(get, token)))
    }

    @Sendable private func thread(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        return try .json(ThreadDetailsBody(try await calls.thread(try context.thread, token)))
    }

    @Sendable private func history(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let before = try request.number("before", in: LogRange.numbers)
        let after = try request.number("after", in: LogRange.numbersOrNone)
        guard before == nil || after == nil else {
            throw Refusal(.badRequest, "`before` and `after` exclude each other; send one of them.")
        }
        var get = LinkGetHistory()
        get.thread = try context.thread.rawValue
        get.before = before ?? 0
        get.after = after ?? 0
        get.forward = after != nil
        get.limit = UInt32(try request.number("limit", in: Self.historyLimits) ?? Self.historyLimit)
        return try .json(HistoryBody(try await calls.history(get, token)))
    }

    @Sendable private func addParticipants(_ request: Request, _ context: WebContext) async throws -> Response
    {
        let token = try request.token
        let thread = try context.thread
        let body = try await request.json(as: AddParticipantsBody.self, limits: limits)
        var add = LinkAddParticipants()
        add.thread = thread.rawValue
        add.clientID = try request.clientID(inBody: body.clientId)
        add.users = try userIDs(body.users, field: "users", limits: messageLimits)
        guard !add.users.isEmpty else { throw Refusal(.badRequest, "`users` names nobody.") }
        return try .json(AcceptedBody(try await calls.append(.addParticipants(add), token)))
    }

    @Sendable private func leave(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let thread = try context.thread
        let body = try await request.clientIDBody(limits: limits)
        var leave = LinkLeaveThread()
        leave.thread = thread.rawValue
        leave.clientID = try request.clientID(inBody: body.clientId)
        return try .json(AcceptedBody(try await calls.append(.leaveThread(leave), token)))
    }

    @Sendable private func mark(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let thread = try context.thread
        let body = try await request.json(as: ReceiptsBody.self, limits: limits)
        guard body.delivered != nil || body.read != nil else {
            throw Refusal(.badRequest, "`delivered` and `read` are both missing; send one of them, or both.")
        }
        var mark = LinkMarkReceipt()
        mark.thread = thread.rawValue
        mark.delivered = try checked(body.delivered, field: "delivered")
        mark.read = try checked(body.read, field: "read")
        try await calls.mark(mark, token)
        return Response(status: .noContent)
    }

    private func checked(_ number: Int64?, field: String) throws(Refusal) -> Int64 {
        guard let number else { return 0 }
        guard LogRange.numbersOrNone.contains(number) else {
            throw Refusal(.badRequest, "`\(field)` must be a whole number from 0 to \(LogRange.last).")
        }
        return number
    }

    private func checked(subject: String) throws(Refusal) -> String {
        do {
            try messageLimits.check(subject: subject)
        } catch .tooLarge(let limit) {
            throw Refusal(.tooLarge, "`subject` is longer than \(limit) bytes of UTF-8.")
        } catch {
            throw Refusal(error)
        }
        return subject
    }
}
