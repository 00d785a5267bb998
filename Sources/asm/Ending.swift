import ArgumentParser
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How a process ends: in order at the first SIGTERM or SIGINT, or when it is told to; at once at the second signal.
///
/// In order means: it says that it is going, serves on for a moment so that load balancers notice, and then its services
/// stop in reverse order, each finishing what is in flight.
final class Ending: Sendable {
    /// How long all services together may take to finish what is in flight; then they are cancelled.
    static let drainWithin = Duration.seconds(60)

    private let delay: Duration
    private let announce: @Sendable () -> Void
    private let isBegun = Atomic(false)
    private let begun = AsyncStream.makeStream(of: Void.self)

    /// - Parameters:
    ///   - delay: how long it serves on after it has said that it is going.
    ///   - announce: says so; called once.
    init(delay: Duration = .zero, announce: @escaping @Sendable () -> Void = {}) {
        self.delay = delay
        self.announce = announce
    }

    /// Begins the end; does nothing when it has begun.
    func begin() {
        guard !isBegun.exchange(true, ordering: .relaxed) else { return }
        announce()
        begun.continuation.yield()
        begun.continuation.finish()
    }

    /// Ends the group when it is time; returns when cancelled.
    fileprivate func run(_ group: ServiceGroup, signals: UnixSignalsSequence, logger: Logger) async {
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { [self] in
                var count = 0
                for await signal in signals {
                    count += 1
                    // Somebody does not want to wait; nothing is lost that was promised.
                    if count > 1 { _exit(128 + signal.rawValue) }
                    logger.notice("This process is ending", metadata: ["signal": "\(signal)"])
                    begin()
                }
            }
            tasks.addTask { [self] in
                for await _ in begun.stream {
                    // Cancelled only when everything has ended by itself.
                    try? await Task.sleep(for: delay)
                    await group.triggerGracefulShutdown()
                }
            }
        }
    }
}

/// Runs services in this order until the end begins, then stops them in reverse order.
/// - Parameter whenTrapped: says that the process is there; a signal that follows ends it in order.
func runUntilSignal(
    _ services: [any Service], ending: Ending = Ending(), logger: Logger, whenTrapped: () -> Void = {}
) async throws {
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    whenTrapped()
    var configuration = ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, logger: logger)
    configuration.maximumGracefulShutdownDuration = Ending.drainWithin
    let group = ServiceGroup(configuration: configuration)
    try await withLogger(logger) { _ in
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask { await ending.run(group, signals: signals, logger: logger) }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }
}

/// Runs a command that can end in order: it is told at the first SIGINT or SIGTERM, and dies at the second.
func untilSignal<Value: Sendable>(
    _ tell: @escaping @Sendable () -> Void, run work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    return try await withThrowingTaskGroup(of: Value?.self) { tasks in
        tasks.addTask {
            var count = 0
            for await signal in signals {
                count += 1
                if count > 1 { _exit(128 + signal.rawValue) }
                tell()
            }
            return nil
        }
        tasks.addTask { try await work() }
        defer { tasks.cancelAll() }
        while let result = try await tasks.next() {
            if let result { return result }
        }
        throw CancellationError()
    }
}

/// How long a web process serves on after it was told to end.
struct DrainOptions: ParsableArguments {
    @Option(
        name: [.customLong("drain-delay"), .customLong("drain-delay-seconds")],
        help: ArgumentHelp(
            "After SIGTERM, how long /readyz says 503 while everything is still served.",
            valueName: "seconds"), transform: seconds(0...300))
    var drainDelay = Duration.seconds(5)
}
