/// What a component says about itself when it is asked whether it is well.
package struct HealthChecks: Sendable {
    package enum Readiness: Hashable, Sendable {
        case ready
        /// One word for the state, such as `draining`, and a sentence that says why.
        case notReady(state: String, reason: String)
    }

    /// Whether it serves now; asked for each time, must not block.
    package let readiness: @Sendable () -> Readiness
    /// The text that Prometheus scrapes.
    package let metrics: @Sendable () -> String

    package init(
        readiness: @escaping @Sendable () -> Readiness, metrics: @escaping @Sendable () -> String
    ) {
        self.readiness = readiness
        self.metrics = metrics
    }
}
