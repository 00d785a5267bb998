#if FAILPOINTS
    /// What is to happen at which failpoint.
    ///
    /// Written `POINT:ACTION[@WHEN]`, several separated by commas or line ends: `after_commit:kill@3,before_commit:sleep(500)`.
    /// ACTION is `kill`, `stop`, `error` or `sleep(MILLISECONDS)`. WHEN is a number (only the so many-th time) or a
    /// percentage (each time with that probability); without it, every time.
    struct FailpointPlan: Hashable, Sendable {
        enum Action: Hashable, Sendable, CustomStringConvertible {
            case kill, stop, error
            case sleep(milliseconds: UInt32)

            var description: String {
                switch self {
                case .kill: "kill"
                case .stop: "stop"
                case .error: "error"
                case .sleep(let milliseconds): "sleep(\(milliseconds))"
                }
            }
        }

        enum Occasion: Hashable, Sendable {
            case always
            case only(hit: Int)
            case chance(percent: Int)
        }

        struct Step: Hashable, Sendable {
            let point: Failpoint
            let action: Action
            let occasion: Occasion
        }

        /// A plan that cannot be read, with what would be right.
        struct Mistake: Error, Hashable, CustomStringConvertible {
            let description: String
        }

        /// A sleep longer than this is a typo.
        static let longestSleepMilliseconds: UInt32 = 600_000

        let steps: [Step]

        init(steps: [Step] = []) { self.steps = steps }

        init(_ text: some StringProtocol) throws(Mistake) {
            var steps: [Step] = []
            for part in text.split(whereSeparator: { $0 == "," || $0.isNewline }) {
                let word = String(part.filter { !$0.isWhitespace })
                if !word.isEmpty { steps.append(try Self.step(word)) }
            }
            self.steps = steps
        }

        private static func step(_ text: String) throws(Mistake) -> Step {
            let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let point = Failpoint.allCases.first(where: { $0.name == halves[0] }) else {
                let known = Failpoint.allCases.map(\.name).joined(separator: ", ")
                throw Mistake(
                    description:
                        "There is no failpoint '\(halves[0])' in '\(text)'; expected one of \(known).")
            }
            let rest = halves.count == 2 ? halves[1] : ""
            let parts = rest.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
            guard let action = parts.first.flatMap({ Self.action($0) }) else {
                throw Mistake(
                    description:
                        "'\(text)' names no action that is known; expected kill, stop, error or sleep(MILLISECONDS)."
                )
            }
            guard let occasion = parts.count == 2 ? Self.occasion(parts[1]) : .always else {
                throw Mistake(
                    description:
                        "'\(text)' does not say when; expected @3 (the third time) or @25% (each fourth time)."
                )
            }
            return Step(point: point, action: action, occasion: occasion)
        }

        private static func action(_ text: Substring) -> Action? {
            switch text {
            case "kill": return .kill
            case "stop": return .stop
            case "error": return .error
            default:
                guard text.hasPrefix("sleep("), text.hasSuffix(")"),
                    let time = UInt32(text.dropFirst("sleep(".count).dropLast()),
                    time <= longestSleepMilliseconds
                else { return nil }
                return .sleep(milliseconds: time)
            }
        }

        private static func occasion(_ text: Substring) -> Occasion? {
            if text.hasSuffix("%") {
                return Int(text.dropLast()).flatMap { (1...100).contains($0) ? .chance(percent: $0) : nil }
            }
            return Int(text).flatMap { $0 > 0 ? .only(hit: $0) : nil }
        }
    }
#endif
