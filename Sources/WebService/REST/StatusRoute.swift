import Hummingbird
import ServiceLink

/// What this Web Service knows of the deployment: itself, and the ASM Services of its list with their state.
///
/// Only for people with a session: addresses inside the installation are nobody else's business.
struct StatusRoute: Sendable {
    let calls: ServiceCalls
    let hub: LiveHub
    let software: String

    func register(on routes: inout Routes) { routes.on(ServiceAPI.status, status) }

    @Sendable private func status(_ request: Request, _ context: WebContext) async throws -> Response {
        _ = try await calls.whoAmI(try request.token)
        return try .json(
            DeploymentBody(
                web: hub.name, software: software, draining: hub.isDraining,
                servers: calls.pool.servers.map(DeploymentBody.Server.init)))
    }
}

/// The answer to `GET /v1/status`.
struct DeploymentBody: Encodable {
    struct Server: Encodable {
        let address: String
        let state: String
        let inStateForMs: Int64
        let sessions: Int

        init(_ health: ServerHealth) {
            (address, state, sessions) = ("\(health.address)", health.state.rawValue, health.sessions)
            inStateForMs = Int64(health.inStateFor / .milliseconds(1))
        }
    }

    let web: String
    let software: String
    let draining: Bool
    let servers: [Server]
}
