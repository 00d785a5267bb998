/// What one round of the watch found, by Web Service and by ASM Service.
package struct WatchRound: Sendable, Hashable, Codable {
    package enum Finding: Sendable, Hashable, Codable {
        /// Delivered, the slowest within so many seconds.
        case well(seconds: Double)
        case slow(seconds: Double)
        case silent(reason: String)
    }

    /// By address.
    package var webs: [String: Finding]
    /// ASM Services as the Web Services that answered name them.
    package var servers: [String: Finding]
    /// Why the watch's own users were refused: then it knows nothing of the messages.
    package var refusal: String?

    package init(
        webs: [String: Finding], servers: [String: Finding] = [:], refusal: String? = nil
    ) {
        (self.webs, self.servers, self.refusal) = (webs, servers, refusal)
    }

    package var condition: WatchCondition {
        // A round that looked at nothing says nothing of the messages.
        if refusal != nil || webs.isEmpty { return .unknown }
        let isSilent = webs.values.allSatisfy { if case .silent = $0 { true } else { false } }
        if isSilent { return .silent }
        let problems = Self.problems(webs, "Web Service") + Self.problems(servers, "ASM Service")
        return problems.isEmpty ? .well : .troubled(problems.sorted())
    }

    private static func problems(_ findings: [String: Finding], _ kind: String) -> [String] {
        findings.compactMap { address, finding in
            switch finding {
            case .well: nil
            case .slow: "\(kind) \(address) is slow"
            case .silent: "\(kind) \(address) is silent"
            }
        }
    }

    /// Everything found, one line each.
    package var details: [String] {
        func lines(_ findings: [String: Finding], _ kind: String) -> [String] {
            findings.sorted { $0.key < $1.key }.map { address, finding in
                switch finding {
                case .well(let seconds): "\(kind) \(address): delivered within \(Self.text(seconds)) s"
                case .slow(let seconds): "\(kind) \(address): slow, delivered after \(Self.text(seconds)) s"
                case .silent(let reason): "\(kind) \(address): silent (\(reason))"
                }
            }
        }
        return (refusal.map { [$0] } ?? []) + lines(webs, "Web Service") + lines(servers, "ASM Service")
    }

    private static func text(_ seconds: Double) -> String { Duration.seconds(seconds).rounded(2) }
}

/// How the deployment is, without anything that differs from round to round.
package enum WatchCondition: Sendable, Hashable, Codable {
    case well
    /// Sentences in their order: "Web Service https://a is silent".
    case troubled([String])
    /// No Web Service delivers anything.
    case silent
    /// Nothing was looked at, or the watch's own users cannot log in; whether messages are delivered, it cannot tell.
    case unknown

    package var isWell: Bool { self == .well }

    /// `well`, `troubled`, `silent` or `unknown`.
    package var name: String {
        switch self {
        case .well: "well"
        case .troubled: "troubled"
        case .silent: "silent"
        case .unknown: "unknown"
        }
    }
}
