import Domain
import Hummingbird
import ServiceLink

/// Finding people of the own customer.
struct UserRoutes: Sendable {
    let calls: ServiceCalls

    private static let limit = 50
    private static let limits: ClosedRange<Int64> = 1...200
    /// How many logins one request may ask for.
    private static let logins = 200

    func register(on routes: inout Routes) { routes.on(ServiceAPI.users, find) }

    @Sendable private func find(_ request: Request, _ context: WebContext) async throws -> Response {
        let token = try request.token
        var find = LinkFindUsers()
        let search = try request.query("search")
        find.logins = try logins(request)
        guard search == nil || find.logins.isEmpty else {
            throw Refusal(.badRequest, "`logins` and `search` exclude each other; send one of them.")
        }
        find.search = search ?? ""
        find.limit = UInt32(
            try request.number("limit", in: Self.limits) ?? Int64(max(Self.limit, find.logins.count)))
        return try .json(UsersBody(users: try await calls.findUsers(find, token).users.map(UserBody.init)))
    }

    private func logins(_ request: Request) throws(Refusal) -> [String] {
        let logins = try request.query("logins")?.split(separator: ",").map { String($0) } ?? []
        guard logins.count <= Self.logins else {
            throw Refusal(.badRequest, "`logins` may name at most \(Self.logins) users.")
        }
        return logins
    }
}
