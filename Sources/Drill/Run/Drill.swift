package import ASMClient
import Domain
package import Synthetic

/// Proves a failover from outside: people send and read through every server while somebody takes servers down.
///
/// It knows nothing of the deployment but what the Web Services tell a client. What it reports is what people had.
package struct Drill: Sendable {
    /// How long connecting everybody may take.
    static let connectLimit = Duration.seconds(20)
    /// How often sessions are made anew so that every ASM Service gets one.
    static let balanceRounds = 8
    /// How long after the last message answers and deliveries are waited for, beside the longest gap allowed.
    static let settleLimit = Duration.seconds(12)
    /// The same when the drill is stopped before its time: whoever stops it waits at a terminal.
    static let stoppedSettleLimit = Duration.seconds(5)
    /// What comes twice comes late: how long is listened after everything is there.
    static let listenAfter = Duration.milliseconds(700)
    /// How long servers that are not healthy at the beginning are waited for.
    static let healthyWithin = Duration.seconds(5)
    /// How long cleaning up may take.
    static let cleanUpWithin = Duration.seconds(10)
    static let pollEvery = Duration.milliseconds(50)

    let plan: DrillPlan
    let accounts: SyntheticAccounts
    let configuration: ClientConfiguration
    let takedowns: [Takedown]
    let earlyEnd: EarlyEnd
    let progress: @Sendable (String) -> Void

    package init(
        plan: DrillPlan, accounts: SyntheticAccounts, configuration: ClientConfiguration,
        takedowns: [Takedown], earlyEnd: EarlyEnd = EarlyEnd(), progress: @escaping @Sendable (String) -> Void
    ) {
        self.plan = plan
        self.accounts = accounts
        self.configuration = configuration
        self.takedowns = Takedown.spread(takedowns, over: plan.duration)
        self.earlyEnd = earlyEnd
        self.progress = progress
    }

    /// Throws `MessagingError` when the drill cannot be run at all; whatever goes wrong later is in the record.
    package func run() async throws -> DrillRecord {
        try plan.check(webs: configuration.addresses.count)
        for takedown in takedowns { try takedown.check() }
        let crew = try await beforehand { try await gather() }
        let (ledger, thread) = (crew.ledger, crew.thread)
        let paths = crew.users.enumerated().map { index, user in
            DrillPath(
                index: index, account: user,
                configuration: rotated(by: index % configuration.addresses.count), ledger: ledger)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for path in paths {
                tasks.addTask {
                    // The path has told the ledger why; the others go on.
                    do { try await path.run() } catch { return }
                }
            }
            defer { tasks.cancelAll() }
            try await beforehand {
                try await connect(paths, crew.healthy, ledger)
                try await warmUp(paths, ThreadID(thread), ledger)
            }
            try await load(paths, ThreadID(thread), ledger)
        }
        for (path, standing) in ledger.standings.enumerated() {
            guard let failure = standing.failure else { continue }
            ledger.change { $0.notes.append("The session of \($0.paths[path].login) ended: \(failure)") }
        }
        progress("Reading everything as everybody at every web address.")
        await FinalReading(
            thread: thread, users: crew.users, webs: configuration.addresses, configuration: configuration,
            earlyEnd: earlyEnd
        ).run(ledger)
        do {
            try await Deadline.within(Self.cleanUpWithin, "it took too long") {
                await cleanUp(thread, crew.users, ledger)
            }
        } catch {
            ledger.change { $0.notes.append("Not everybody could leave the thread and log out: \(error)") }
        }
        return ledger.record
    }

    /// What has to be there before anything is measured: without it there is nothing to report.
    private func beforehand<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        do { return try await earlyEnd.bound(.zero, work) } catch is EarlyEnd.Cut {
            throw MessagingError(code: "stopped", message: "It was stopped before it began to send.")
        }
    }

    /// Who takes part, and where they write.
    private struct Crew: Sendable {
        let users: [SyntheticAccount]
        let thread: MessageThread.ID
        let healthy: [Set<String>]
        let ledger: DrillLedger
    }

    private func gather() async throws -> Crew {
        let webs = configuration.addresses
        progress("Logging in \(plan.paths) users.")
        let users = try await logIn()
        let ledger = DrillLedger(
            plan: plan, webs: webs,
            paths: users.enumerated().map { .init(login: $1.login, web: $0 % webs.count) })
        let healthy = await askStatus(users[0], ledger)
        let thread = try await accounts.web.createThread(
            id: .random(), participants: users.dropFirst().map(\.user),
            subject: "asm drill \(WallClock.text(WallClock.milliseconds()).prefix(16)) UTC",
            token: users[0].token)
        ledger.use(thread)
        return Crew(users: users, thread: thread, healthy: healthy, ledger: ledger)
    }

    private func logIn() async throws -> [SyntheticAccount] {
        do {
            return try await accounts.logIn(count: plan.paths)
        } catch let error as MessagingError where error.code == Refusal.Code.badCredentials.rawValue {
            let customer = accounts.customer.map { "'\($0)'" } ?? "CUSTOMER"
            throw MessagingError(
                code: error.code,
                message: """
                    \(error.message) The drill needs \(plan.paths) users; create them on a server with: \
                    asm user add --customer \(customer) --count \(plan.paths) '\(accounts.pattern)' \
                    --password-file FILE --database URL
                    """)
        }
    }

    private func rotated(by first: Int) -> ClientConfiguration {
        var rotated = configuration
        rotated.addresses = Array(configuration.addresses[first...] + configuration.addresses[..<first])
        return rotated
    }

    /// Asks every web address which ASM Services there are; the healthy ones by web address.
    private func askStatus(_ user: SyntheticAccount, _ ledger: DrillLedger) async -> [Set<String>] {
        var healthy: [Set<String>] = []
        for (index, address) in configuration.addresses.enumerated() {
            do {
                var single = configuration
                single.addresses = [address]
                let status = try await Self.settledStatus(WebAPI(single), user)
                healthy.append(Set(status.servers.filter(\.isHealthy).map(\.address)))
                ledger.change { record in
                    record.servers = Set(record.servers + status.servers.map(\.address)).sorted()
                }
            } catch {
                healthy.append([])
                ledger.change {
                    $0.notes.append("\($0.webs[index]) did not say which ASM Services it knows: \(error)")
                }
            }
        }
        return healthy
    }

    /// The status as soon as all servers are healthy, or as it is after a while: some may only just have started.
    private static func settledStatus(_ api: WebAPI, _ user: SyntheticAccount) async throws
        -> DeploymentStatus
    {
        let end = ContinuousClock.now + healthyWithin
        while true {
            let status = try await api.status(token: user.token)
            if status.servers.allSatisfy(\.isHealthy) || ContinuousClock.now >= end { return status }
            try await Task.sleep(for: pollEvery * 4)
        }
    }

    // MARK: Connecting

    private func connect(_ paths: [DrillPath], _ healthy: [Set<String>], _ ledger: DrillLedger) async throws {
        progress("Connecting \(paths.count) sessions.")
        try await untilRouted(ledger)
        for _ in 0..<Self.balanceRounds {
            let again = Balance.pathsToMove(ledger.standings.map(\.route), ledger.record.paths, healthy)
            guard !again.isEmpty else { break }
            for path in again { paths[path].restart() }
            // The old connection may still be the one that is seen for a moment.
            try await Task.sleep(for: Self.pollEvery * 4)
            try await untilRouted(ledger)
        }
        for (index, standing) in ledger.standings.enumerated() {
            guard let route = standing.route else { continue }
            progress(
                "  \(paths[index].account.login): \(configuration.addresses[route.web]), \(route.server)")
        }
    }

    private func untilRouted(_ ledger: DrillLedger) async throws {
        let end = ContinuousClock.now + Self.connectLimit
        while true {
            let standings = ledger.standings
            if standings.allSatisfy({ $0.isConnected && $0.route != nil }) { return }
            if standings.contains(where: \.isTooOld) {
                throw MessagingError(
                    code: "too-old",
                    message: "A Web Service does not know the frame `route`: upgrade it before the drill.")
            }
            if let failure = standings.compactMap(\.failure).first {
                throw MessagingError(code: "not-connected", message: "A session has ended: \(failure)")
            }
            guard ContinuousClock.now < end else {
                let missing = standings.indices.filter { standings[$0].route == nil }
                let logins = missing.map { ledger.record.paths[$0].login }.joined(separator: ", ")
                throw MessagingError(
                    code: MessagingError.unreachableCode,
                    message: "Not connected within \(Self.connectLimit.rounded(0)) s: \(logins)")
            }
            try await Task.sleep(for: Self.pollEvery)
        }
    }

    /// Everybody sends one message before the time begins: so no cold start counts as an interruption, and every
    /// server has been used when the first one goes.
    private func warmUp(_ paths: [DrillPath], _ thread: ThreadID, _ ledger: DrillLedger) async throws {
        for path in paths { try await path.sendOne(in: thread) }
        let end = ContinuousClock.now + Self.connectLimit
        while ledger.standings.contains(where: { $0.unanswered > 0 }) {
            guard ContinuousClock.now < end else {
                let waiting = ledger.standings.indices.filter { ledger.standings[$0].unanswered > 0 }
                let logins = waiting.map { ledger.record.paths[$0].login }.joined(separator: ", ")
                throw MessagingError(
                    code: MessagingError.unreachableCode,
                    message: "The first message is not acknowledged within "
                        + "\(Self.connectLimit.rounded(0)) s: \(logins)")
            }
            try await Task.sleep(for: Self.pollEvery)
        }
    }

    // MARK: The load

    private func load(_ paths: [DrillPath], _ thread: ThreadID, _ ledger: DrillLedger) async throws {
        let count = Int(plan.duration / .seconds(1) * plan.rate)
        progress(
            "Sending for \(plan.duration.rounded(0)) s. Take servers down now; at the end all may be back.")
        let start = ledger.begin()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await Monitor(ledger: ledger, progress: progress).run() }
            for takedown in takedowns {
                tasks.addTask {
                    try await takedown.run(from: start) { text in
                        ledger.acted(text)
                        progress("\(ledger.now.rounded(2)) s: \(text)")
                    }
                }
            }
            do {
                try await earlyEnd.bound(.zero) { try await send(count, paths, thread, from: start, ledger) }
            } catch is EarlyEnd.Cut {
                ledger.stopped()
                // At once: whatever a takedown has stopped goes on, also if this process is ended a second time.
                tasks.cancelAll()
            }
            progress("Waiting for what is on its way.")
            try await settle(ledger)
            tasks.cancelAll()
            // Takedowns that were still to come end here, which lets stopped processes go on.
            while let result = await tasks.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    private func send(
        _ count: Int, _ paths: [DrillPath], _ thread: ThreadID, from start: ContinuousClock.Instant,
        _ ledger: DrillLedger
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { sending in
            for path in paths {
                sending.addTask {
                    try await path.send(count, of: paths.count, rate: plan.rate, in: thread, from: start)
                }
            }
            try await sending.waitForAll()
        }
    }

    private func settle(_ ledger: DrillLedger) async throws {
        let end = ContinuousClock.now + Self.settleLimit + plan.longestGap
        do {
            try await earlyEnd.bound(Self.stoppedSettleLimit) {
                while ContinuousClock.now < end, !Self.isSettled(ledger.record) {
                    try await Task.sleep(for: Self.pollEvery * 4)
                }
            }
        } catch is EarlyEnd.Cut {
            ledger.stopped()
        }
        try await Task.sleep(for: Self.listenAfter)
        ledger.end()
    }

    private static func isSettled(_ record: DrillRecord) -> Bool {
        let acknowledged = record.messages.indices.filter { record.messages[$0].answer != nil }
        return record.messages.allSatisfy { $0.answer != nil || $0.refusal != nil }
            && isShown(acknowledged, record)
    }

    private static func isShown(_ acknowledged: [Int], _ record: DrillRecord) -> Bool {
        record.paths.indices.allSatisfy { path in
            acknowledged.allSatisfy { record.messages[$0].path == path || record.shown[path].contains($0) }
        }
    }

    /// Lets everybody leave and log out; the product deletes no messages.
    private func cleanUp(
        _ thread: MessageThread.ID, _ users: [SyntheticAccount], _ ledger: DrillLedger
    ) async {
        var left = 0
        for user in users {
            do {
                try await accounts.web.leave(id: .random(), thread: thread, token: user.token)
                left += 1
                if accounts.tokenCachePath == nil { try await accounts.web.logOut(token: user.token) }
            } catch {
                ledger.change { $0.notes.append("\(user.login) could not leave or log out: \(error)") }
                break
            }
        }
        ledger.change { record in
            record.notes.append(
                "Cleaned up: \(left) of \(users.count) users left thread \(thread); "
                    + "its \(record.messages.count) messages stay in the log, since nothing deletes messages."
            )
        }
    }
}
