import Dispatch

/// A gate that lets a blocking thread pass once it is opened.
package final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    package init() {}

    package func open() { semaphore.signal() }

    package func wait() { semaphore.wait() }

    /// Waits for so long at most; whether it was opened.
    package func opens(withinMilliseconds limit: Int) -> Bool {
        semaphore.wait(timeout: .now() + .milliseconds(limit)) == .success
    }
}
