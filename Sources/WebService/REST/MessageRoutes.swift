import Domain
import Hummingbird
import ServiceLink

/// Sending, looking at and taking back messages.
struct MessageRoutes: Sendable {
    let calls: ServiceCalls
    let limits: WebServiceLimits
    let messageLimits: MessageLimits

    func register(on routes: inout Routes) {
        routes.on(ServiceAPI.sendMessage, send)
        routes.on(ServiceAPI.message, message)
        routes.on(ServiceAPI.recallMessage, recall)
    }

    @Sendable private func send(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        let thread = try context.thread
        let body = try await request.json(as: SendMessageBody.self, limits: limits)
        if let refusal = Refusal(checking: body.text, against: messageLimits) { throw refusal }
        guard let priority = Priority(name: body.priority ?? "normal") else {
            throw Refusal(.badRequest, "`priority` must be \"normal\" or \"urgent\".")
        }
        var send = LinkSendMessage()
        send.thread = thread.rawValue
        send.clientID = try request.clientID(inBody: body.clientId)
        send.text = body.text
        send.priority = UInt32(priority.rawValue)
        return try .json(AcceptedBody(try await calls.append(.sendMessage(send), token)), status: .created)
    }

    @Sendable private func message(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        var get = LinkGetMessage()
        get.thread = try context.thread.rawValue
        get.number = try context.number
        return try .json(MessageDetailsBody(try await calls.message(get, token)))
    }

    @Sendable private func recall(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        var recall = LinkRecallMessage()
        recall.thread = try context.thread.rawValue
        recall.number = try context.number
        let body = try await request.clientIDBody(limits: limits)
        recall.clientID = try request.clientID(inBody: body.clientId)
        return try .json(AcceptedBody(try await calls.append(.recallMessage(recall), token)))
    }
}

extension Request {
    /// The body of a request that needs only a client id: none at all is fine when the id is in the field.
    func clientIDBody(limits: WebServiceLimits) async throws -> ClientIDBody {
        let hasBody = headers[.contentLength].map { $0 != "0" } ?? (headers[.transferEncoding] != nil)
        return hasBody ? try await json(as: ClientIDBody.self, limits: limits) : ClientIDBody(clientId: nil)
    }
}
