import Domain
import Hummingbird
import ServiceLink

/// Logging in and out, and who one is.
struct SessionRoutes: Sendable {
    let calls: ServiceCalls
    let limits: WebServiceLimits
    let trustedProxies: TrustedProxies
    /// Log-ins cost the servers a hash each: a storm of them is sent away here.
    let logIns: Turnstile

    func register(on routes: inout Routes) {
        routes.on(ServiceAPI.logIn, logIn)
        routes.on(ServiceAPI.logOut, logOut)
        routes.on(ServiceAPI.me, me)
    }

    @Sendable private func logIn(_ request: Request, _ context: WebContext) async throws -> Response {
        let body = try await request.json(as: LogInBody.self, limits: limits)
        let address = request.clientAddress(peer: context.peerAddress, trustedProxies: trustedProxies)
        let logIn = try LinkLogIn(body, from: address)
        return try .json(
            LoggedInBody(try await logIns.pass { try await calls.logIn(logIn) }), status: .created)
    }

    @Sendable private func logOut(_ request: Request, _ context: WebContext) async throws -> Response {
        try await calls.logOut(try request.token)
        return Response(status: .noContent)
    }

    @Sendable private func me(_ request: Request, _ context: WebContext) async throws -> Response {
        try .json(MeBody(try await calls.whoAmI(try request.token)))
    }
}

extension LinkLogIn {
    init(_ body: LogInBody, from address: String) throws(Refusal) {
        self.init()
        guard !body.login.isEmpty else { throw Refusal(.badRequest, "`login` is empty.") }
        guard !body.password.open.isEmpty else { throw Refusal(.badRequest, "`password` is empty.") }
        login = body.login
        password = body.password.open
        customer = body.customer ?? ""
        deviceName = body.device?.name ?? ""
        if let text = body.device?.id {
            guard let id = Device.ID(text) else {
                throw Refusal(.badRequest, "`device.id` must be a device's id: decimal digits as a string.")
            }
            device = id.rawValue
        }
        self.address = address
    }
}
