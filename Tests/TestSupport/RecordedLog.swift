package import Logging
import Synchronization

/// A log that a test can read: its lines, with their facts.
package final class RecordedLog: Sendable {
    package struct Line: Sendable {
        package let level: Logger.Level
        package let message: String
        package let facts: [String: String]
    }

    private let all = Mutex<[Line]>([])

    package init() {}

    package var lines: [Line] { all.withLock { $0 } }

    package var logger: Logger {
        Logger(label: "recorded") { [self] _ in Handler(log: self) }
    }

    /// Waits for a line with this message, for ten seconds at most.
    package func line(_ message: String) async throws -> Line? {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            if let line = lines.last(where: { $0.message == message }) { return line }
            try await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let facts = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
            log.all.withLock {
                $0.append(Line(level: event.level, message: "\(event.message)", facts: facts))
            }
        }
    }
}
