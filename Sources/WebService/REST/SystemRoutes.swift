import Domain
import HTTPTypes
import Hummingbird
import ServiceLink

/// What operators and tools ask: alive, serving, metrics, the OpenAPI document, and the live address without upgrade.
struct SystemRoutes: Sendable {
    let pool: LinkPool
    let gate: LiveGate
    let metrics: WebMetrics

    func register(on routes: inout Routes) {
        routes.on(ServiceAPI.alive) { _, _ in try .json(["status": "alive"]) }
        routes.on(ServiceAPI.ready, ready)
        routes.on(ServiceAPI.metrics) { _, _ in
            .text(metrics.render(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        routes.on(ServiceAPI.openAPI) { request, _ in StaticFiles.openAPI.answer(to: request) }
        routes.on(ServiceAPI.live, live)
    }

    @Sendable private func ready(_ request: Request, _ context: WebContext) async throws -> Response {
        if gate.hub.isLeaving { throw Refusal(.unavailable, "This server is going.") }
        guard pool.isServing else {
            // Anybody may ask: which servers there are, and what is wrong with each, is in the log.
            throw Refusal(
                .unavailable, "No ASM Service can be reached.", retryAfterMilliseconds: 1_000)
        }
        return try .json(["status": "ready"])
    }

    /// Only reached when the connection was not upgraded: says why.
    @Sendable private func live(_ request: Request, _ context: WebContext) async throws -> Response {
        let schemes = HTTPField.Name("X-Forwarded-Proto").map { request.headers[values: $0] } ?? []
        if let refusal = gate.refusal(
            origins: request.headers[values: .origin], host: request.head.authority,
            isSecure: gate.isSecure(forwarded: schemes, peer: context.peerAddress))
        {
            throw refusal
        }
        throw Refusal(.badRequest, "This address speaks WebSocket (RFC 6455, version 13) only.")
    }
}
