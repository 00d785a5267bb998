import ServiceLifecycle

/// Runs the work that callbacks start: every task is a child of `run()`, so none outlives the service.
final class BackgroundWork: Service {
    typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let inlet: AsyncStream<Job>.Continuation

    init() {
        (jobs, inlet) = AsyncStream.makeStream()
    }

    /// Starts a job at once; after shutdown it does nothing. Callers bound how many they start.
    /// - Returns: whether the job was taken: who waits for what it would have done must not wait for ever.
    @discardableResult
    func start(_ job: @escaping Job) -> Bool {
        if case .enqueued = inlet.yield(job) { true } else { false }
    }

    /// Takes no more jobs: `run()` returns when those in hand are done.
    func finish() { inlet.finish() }

    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask(operation: job) }
            group.cancelAll()
        }
    }
}
