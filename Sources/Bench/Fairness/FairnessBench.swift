package import ASMClient
import Dispatch
import Domain
import NIOCore
import NIOPosix
package import Synthetic

/// Measures what one customer notices of another that does its worst.
///
/// One customer's sends, inboxes and log-ins are timed while it is quiet, and again while the other asks for everything
/// that costs much, over many connections and without ever waiting when it is told to.
package struct FairnessBench: Sendable {
    package struct Plan: Sendable {
        /// Connections of the attacker.
        package var connections = 300
        /// Users of the attacker who share them, and of the one who is measured.
        package var attackers = 20
        package var users = 4
        /// How long each of the two parts is measured.
        package var duration = Duration.seconds(30)
        /// Load before measuring.
        package var warmup = Duration.seconds(5)

        package init() {}
    }

    let measured: SyntheticAccounts
    let attacker: SyntheticAccounts
    let plan: Plan
    let services: [WebAddress]
    let progress: @Sendable (String) -> Void

    /// - Parameters:
    ///   - services: where the ASM Services tell their health; none when nobody can tell whether heartbeats failed.
    ///   - progress: told what is being done.
    package init(
        measured: SyntheticAccounts, attacker: SyntheticAccounts, plan: Plan, services: [WebAddress],
        progress: @escaping @Sendable (String) -> Void
    ) throws(MessagingError) {
        guard plan.connections >= 1, plan.attackers >= 1, plan.users >= 2 else {
            throw MessagingError(
                code: "bad-request", message: "There must be connections, attackers and at least two users.")
        }
        guard measured.web.addresses.allSatisfy({ !$0.isSecure }) else {
            throw MessagingError(
                code: "bad-request",
                message: "The attack is made over http: give the Web Services' own addresses.")
        }
        self.measured = measured
        self.attacker = attacker
        self.plan = plan
        self.services = services
        self.progress = progress
    }

    package func run() async throws -> FairnessReport {
        progress("Logging in.")
        let users = try await measured.logIn(count: plan.users)
        let attackers = try await attacker.logIn(count: plan.attackers)
        let probe = try await FairnessProbe(accounts: measured, users: users)
        progress("Measuring \(plan.duration) without an attack.")
        _ = try await probe.measure(for: plan.warmup)
        let quiet = try await probe.measure(for: plan.duration)

        let before = try await heartbeatFailures()
        progress("Attacking over \(plan.connections) connections.")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let attack = try await Attack(accounts: attacker, attackers: attackers, on: group)
        let attacked: FairnessProbe.Times
        do {
            attacked = try await withThrowingTaskGroup(of: Void.self) { tasks in
                for index in 0..<plan.connections { tasks.addTask { await attack.run(index) } }
                _ = try await probe.measure(for: plan.warmup)
                progress("Measuring \(plan.duration) under attack.")
                let times = try await probe.measure(for: plan.duration)
                tasks.cancelAll()
                return times
            }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
        let after = try await heartbeatFailures()
        return FairnessReport(
            quiet: quiet, attacked: attacked, answers: attack.tally,
            heartbeatFailures: after.flatMap { after in before.map { after - $0 } })
    }
}

extension FairnessBench {
    /// How many heartbeats have failed so far at all ASM Services; nil when nobody can tell.
    private func heartbeatFailures() async throws -> Int? {
        guard !services.isEmpty else { return nil }
        var sum = 0
        for service in services {
            let metrics = try await WebAPI(ClientConfiguration(addresses: [service])).call("GET", "/metrics")
            let line = String(decoding: metrics, as: UTF8.self).split(separator: "\n")
                .first { $0.hasPrefix("asm_heartbeat_failures_total ") }
            guard let count = line?.split(separator: " ").last.flatMap({ Int($0) }) else {
                throw MessagingError(
                    code: "bad-answer", message: "\(service)/metrics does not tell of heartbeats.")
            }
            sum += count
        }
        return sum
    }
}

/// The one who is measured: sends, opens the inbox and logs in, in turns, as a few people do.
struct FairnessProbe: Sendable {
    /// What was measured, and what was refused or failed meanwhile.
    struct Times: Sendable {
        var send = Histogram()
        var inbox = Histogram()
        var logIn = Histogram()
        var failures: [String] = []

        mutating func add(_ other: Times) {
            send.add(other.send)
            inbox.add(other.inbox)
            logIn.add(other.logIn)
            failures += other.failures
        }
    }

    /// Pauses between what one user does.
    private static let pause = Duration.milliseconds(25)
    private static let logInPause = Duration.milliseconds(250)
    private static let inboxPage = 50
    /// Failures told one by one.
    private static let failuresKept = 20

    let accounts: SyntheticAccounts
    let users: [SyntheticAccount]
    let thread: MessageThread.ID

    init(accounts: SyntheticAccounts, users: [SyntheticAccount]) async throws {
        self.accounts = accounts
        self.users = users
        thread = try await accounts.web.createThread(
            id: .random(), participants: users.map(\.user), subject: "asm bench", token: users[0].token)
    }

    func measure(for duration: Duration) async throws -> Times {
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: Times.self) { group in
            for user in users { group.addTask { try await measureUser(user, until: end) } }
            group.addTask { try await measureLogIns(until: end) }
            var sum = Times()
            for try await times in group { sum.add(times) }
            return sum
        }
    }

    private func measureUser(_ user: SyntheticAccount, until end: ContinuousClock.Instant) async throws
        -> Times
    {
        var times = Times()
        while ContinuousClock.now < end {
            var body: [UInt8] = []
            JSONWriter.raw(#"{"clientId":"#, into: &body)
            JSONWriter.token(ClientID.random(), into: &body)
            JSONWriter.raw(#","text":"Is bed 12 free?"}"#, into: &body)
            let message = body
            await time(\.send, in: &times) {
                _ = try await accounts.web.call(
                    "POST", "/v1/threads/\(thread)/messages", token: user.token, body: message)
            }
            try await Task.sleep(for: Self.pause)
            await time(\.inbox, in: &times) {
                _ = try await accounts.web.inbox(before: nil, limit: Self.inboxPage, token: user.token)
            }
            try await Task.sleep(for: Self.pause)
        }
        return times
    }

    private func measureLogIns(until end: ContinuousClock.Instant) async throws -> Times {
        var times = Times()
        var index = 0
        while ContinuousClock.now < end {
            let login = accounts.login(of: index % users.count)
            await time(\.logIn, in: &times) { _ = try await accounts.logIn(login) }
            index += 1
            try await Task.sleep(for: Self.logInPause)
        }
        return times
    }

    private func time(
        _ histogram: WritableKeyPath<Times, Histogram>, in times: inout Times, _ work: () async throws -> Void
    ) async {
        let start = DispatchTime.now()
        do { try await work() } catch {
            if times.failures.count < Self.failuresKept { times.failures.append("\(error)") }
        }
        times[keyPath: histogram].record(
            DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds)
    }
}
