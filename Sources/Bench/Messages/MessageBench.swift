import ASMClient
import Domain
import NIOCore
import NIOPosix
package import Synthetic

/// Runs a load of messages and checks every delivery.
package struct MessageBench: Sendable {
    /// How long connecting everybody may take.
    static let welcomeLimit = TimeAmount.seconds(60)
    /// How long to wait after the last message for what is still on its way.
    static let settleLimit = Duration.seconds(15)
    static let historyPage = 500

    let workload: MessageWorkload
    let accounts: SyntheticAccounts
    let progress: @Sendable (String) -> Void

    /// - Parameter progress: is told, in plain sentences, what is being done.
    package init(
        workload: MessageWorkload, accounts: SyntheticAccounts, progress: @escaping @Sendable (String) -> Void
    ) {
        self.workload = workload
        self.accounts = accounts
        self.progress = progress
    }

    package func run() async throws -> MessageReport {
        try workload.check()
        raiseFileLimit()
        progress("Logging in \(workload.users) users.")
        let users = try await accounts.logIn(count: workload.users)
        progress("Creating \(workload.groups) threads of \(workload.groupSize).")
        let threads = try await createThreads(users)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: workload.threads)
        do {
            let report = try await run(users, threads, on: group)
            try await group.shutdownGracefully()
            return report
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private func createThreads(_ users: [SyntheticAccount]) async throws -> [MessageThread.ID] {
        try await concurrently(0..<workload.groups, limit: SyntheticAccounts.concurrency) { group in
            let members = users[(group * workload.groupSize)..<((group + 1) * workload.groupSize)]
            return try await accounts.web.createThread(
                id: .random(), participants: members.map(\.user), subject: "asm bench",
                token: members[members.startIndex].token)
        }
    }

    private func run(
        _ users: [SyntheticAccount], _ threads: [MessageThread.ID], on group: MultiThreadedEventLoopGroup
    ) async throws -> MessageReport {
        let run = Int.random(in: 1..<100_000_000)
        var loads: [BenchLoop] = []
        for loop in group.makeIterator() { loads.append(try await BenchLoop(on: loop, workload, run: run)) }
        for (index, thread) in threads.enumerated() {
            let members = users[(index * workload.groupSize)..<((index + 1) * workload.groupSize)]
            try await loads[index % loads.count].add(
                Array(members), from: index * workload.groupSize, to: thread)
        }
        let seats = loads.flatMap(\.seats)
        progress("Connecting.")
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (index, seat) in seats.enumerated() {
                tasks.addTask { try await keepConnected(seat, index: index) }
            }
            do {
                for seat in seats { try await seat.welcomed.get() }
                let report = try await measure(loads, users, threads, run: run)
                tasks.cancelAll()
                for load in loads { try await load.closeAll() }
                try await waitIgnoringCancellation(&tasks)
                return report
            } catch {
                tasks.cancelAll()
                for load in loads { try await load.closeAll() }
                throw error
            }
        }
    }

    private func waitIgnoringCancellation(_ tasks: inout ThrowingTaskGroup<Void, any Error>) async throws {
        while let result = await tasks.nextResult() {
            if case .failure(let error) = result, !(error is CancellationError) { throw error }
        }
    }

    /// Connects a user over and over until cancelled; gives up when it was never welcome.
    private func keepConnected(_ seat: BenchLoop.Seat, index: Int) async throws {
        let addresses = accounts.web.addresses
        var attempt = index
        var failures = 0
        while !Task.isCancelled {
            do {
                let user = seat.user
                let connection = try await LiveConnection.connect(
                    to: addresses[attempt % addresses.count], on: seat.loop, security: accounts.security
                ) { user.value }
                try await connection.channel.closeFuture.get()
                failures = 0
            } catch {
                failures += 1
                if failures >= 20 { seat.loop.execute { [user = seat.user] in user.value.giveUp(error) } }
            }
            attempt += 1
            try await Task.sleep(
                for: .milliseconds(Int.random(in: 1...max(2, min(1_000, 50 << min(failures, 5))))))
        }
    }

    private func measure(
        _ loads: [BenchLoop], _ users: [SyntheticAccount], _ threads: [MessageThread.ID], run: Int
    ) async throws -> MessageReport {
        progress("Sending for \(workload.warmup) to warm up, then for \(workload.duration).")
        let start = NIODeadline.now() + TimeAmount(workload.warmup)
        let measured = start..<(start + TimeAmount(workload.duration))
        for load in loads { load.start(measured: measured) }
        try await Task.sleep(for: workload.warmup)
        let before = ServerProcesses.now()
        try await Task.sleep(for: workload.duration)
        let after = ServerProcesses.now()
        progress("Waiting for what is on its way.")
        try await settle(loads)
        var result = LoadResult()
        for load in loads { result.add(try await load.finish()) }
        var report = MessageReport(workload: workload, result: result, before: before, after: after)
        if !result.missing.isEmpty {
            progress("Looking for \(result.missing.count) missing deliveries in the history.")
            report.lost = try await countLost(result.missing, users, threads, run: run)
            report.lostLive = result.missing.count - report.lost
        }
        return report
    }

    private func settle(_ loads: [BenchLoop]) async throws {
        let end = ContinuousClock.now + Self.settleLimit
        while ContinuousClock.now < end {
            var isSettled = true
            for load in loads where try await !load.isSettled() { isSettled = false }
            if isSettled { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        // What comes twice comes late: listen a little longer.
        try await Task.sleep(for: .milliseconds(500))
    }

    /// How many of the missing deliveries are not in the recipient's history either.
    private func countLost(
        _ missing: [LoadResult.Missing], _ users: [SyntheticAccount], _ threads: [MessageThread.ID], run: Int
    ) async throws -> Int {
        var lost = 0
        for (place, missing) in Dictionary(grouping: missing, by: { $0.place }) {
            guard let group = threads.firstIndex(of: place.thread) else { continue }
            let reader = users[group * workload.groupSize + place.recipient]
            var stored: Set<Int> = []
            var after: EntryNumber = 0
            while true {
                let page = try await accounts.web.history(
                    of: place.thread, .after(after), limit: Self.historyPage, token: reader.token)
                for entry in page.entries {
                    guard case .message(let text, _) = entry.content,
                        let stamp = BenchText.read(text.open, run: run)
                    else { continue }
                    stored.insert(stamp.member << 40 | stamp.sequence)
                }
                guard page.hasMore, let last = page.entries.last?.number else { break }
                after = last
            }
            lost += missing.count { !stored.contains($0.sender << 40 | $0.sequence) }
        }
        return lost
    }
}
