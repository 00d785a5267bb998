import Logging
import ServiceLifecycle

/// The ASM Notification Service: tells devices that have no live connection that something waits for them.
///
/// It will take due pushes from its ASM Service over the service link and hand them to the push services of the
/// devices' makers; a push carries no message content. This version sends nothing: it idles until shutdown.
package struct NotificationService: Service {
    package init() {}

    /// Waits for graceful shutdown or cancellation.
    package func run() async throws {
        Logger.current.notice("The Notification Service sends no pushes in this version")
        try? await gracefulShutdown()  // The only error is cancellation, which means the same.
    }
}
