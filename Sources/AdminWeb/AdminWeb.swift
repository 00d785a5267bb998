import Logging
import ServiceLifecycle

/// The ASM Admin Web: the pages on which administrators manage customers, users, groups and servers.
///
/// It will hold no database credentials: like the Web Service it asks an ASM Service over the service link, with its
/// own `Server` list. This version serves no pages: it idles until shutdown.
package struct AdminWeb: Service {
    package init() {}

    /// Waits for graceful shutdown or cancellation.
    package func run() async throws {
        Logger.current.notice("The Admin Web serves no pages in this version")
        try? await gracefulShutdown()  // The only error is cancellation, which means the same.
    }
}
