import Foundation

/// What is answered at which path: pure, so that every server of ours says the same.
struct HealthAnswers: Sendable {
    struct Answer: Hashable, Sendable {
        var status = 200
        var type = "application/json; charset=utf-8"
        let body: String
    }

    let checks: HealthChecks
    let pages: [String: String]

    func answer(method: String, target: String) -> Answer {
        guard method == "GET" || method == "HEAD" else {
            return Answer(status: 405, body: Self.json(["error": "This address answers GET, HEAD only."]))
        }
        let path = String(target.prefix { $0 != "?" })
        switch path {
        case "/healthz": return Answer(body: Self.json(["status": "alive"]))
        case "/readyz": return ready
        case "/metrics":
            return Answer(type: "text/plain; version=0.0.4; charset=utf-8", body: checks.metrics())
        default:
            guard let page = pages[path] else {
                return Answer(status: 404, body: Self.json(["error": "There is nothing at this address."]))
            }
            return Answer(type: "text/plain; charset=utf-8", body: page)
        }
    }

    private var ready: Answer {
        switch checks.readiness() {
        case .ready: Answer(body: Self.json(["status": "ready"]))
        case .notReady(let state, let reason):
            Answer(status: 503, body: Self.json(["status": state, "reason": reason]))
        }
    }

    private static func json(_ fields: [String: String]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts always encode.
        guard let data = try? encoder.encode(fields) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
