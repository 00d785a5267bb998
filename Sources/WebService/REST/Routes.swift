import Hummingbird

/// Collects the routes of the REST interface and remembers which there are.
struct Routes {
    typealias Handler = @Sendable (Request, WebContext) async throws -> Response

    let router: Router<WebContext>
    private(set) var operations: Set<ServiceAPI.Operation> = []

    init(metrics: WebMetrics, refusalHold: Duration) {
        router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ErrorAnswers(metrics: metrics, hold: refusalHold))
    }

    mutating func on(_ operation: ServiceAPI.Operation, _ handler: @escaping Handler) {
        operations.insert(operation)
        router.on(RouterPath(operation.path), method: operation.method, use: handler)
    }
}
