package import ASMClient
import Domain
import Foundation
package import Synthetic

/// A dead-man's switch: sends a message through everything again and again, and tells somebody when it does not arrive.
///
/// It needs no database and runs anywhere, best where the installation does not: what kills that must not kill this.
package struct Watch: Sendable {
    package struct Settings: Sendable {
        package var every = Duration.seconds(60)
        /// A delivery that takes longer is slow.
        package var slow = Duration.seconds(5)
        /// What takes longer counts as silence.
        package var silentAfter = Duration.seconds(15)
        package var rules = WatchJudge.Rules(rounds: 2, remindEvery: .seconds(3_600))
        package var statusFile: String?

        package init() {}
    }

    /// Tells somebody; throws when that did not work.
    package struct Alarm: Sendable {
        package var send: @Sendable (WatchNotice) async throws -> Void
        package init(send: @escaping @Sendable (WatchNotice) async throws -> Void) { self.send = send }
    }

    /// How soon a mail that could not be sent is tried again.
    static let retryMailAfter = Duration.seconds(15)
    static let subject = "asm watch"
    private static let inboxPage = 100

    let settings: Settings
    let accounts: SyntheticAccounts
    let configuration: ClientConfiguration
    let alarm: Alarm?
    let tell: @Sendable (String) -> Void

    package init(
        settings: Settings, accounts: SyntheticAccounts, configuration: ClientConfiguration, alarm: Alarm?,
        tell: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.accounts = accounts
        self.configuration = configuration
        self.alarm = alarm
        self.tell = tell
    }

    /// Watches until cancelled.
    package func run() async throws {
        var state = WatchStatus.read(settings.statusFile)
        var users: Users?
        while true {
            let start = ContinuousClock.now
            await round(&state, &users)
            let next = start + settings.every
            while ContinuousClock.now < next {
                try await Task.sleep(until: min(next, .now + Self.retryMailAfter))
                if state.unsent != nil, ContinuousClock.now < next { await mail(&state) }
            }
        }
    }

    /// Looks once; the round, after somebody was told where that is due.
    package func once() async -> WatchRound {
        var state = WatchStatus.read(settings.statusFile)
        var users: Users?
        return await round(&state, &users)
    }

    /// Two people, and the thread in which they write.
    struct Users: Sendable {
        let sender: SyntheticAccount
        let reader: SyntheticAccount
        let thread: MessageThread.ID
    }

    @discardableResult
    private func round(_ state: inout WatchStatus, _ users: inout Users?) async -> WatchRound {
        let round = await look(&users)
        let before = state.judge.told
        let now = WallClock.milliseconds()
        if let notice = state.judge.take(round, at: now, settings.rules) {
            tell("\(WallClock.text(now)) UTC: \(notice.subject)")
            // A mail that never went out is replaced: only the newest condition is news.
            if before != notice.condition || state.unsent == nil { state.unsent = notice }
        }
        state.checkedAt = now
        state.condition = round.condition.name
        state.round = round
        await mail(&state)
        return round
    }

    private func mail(_ state: inout WatchStatus) async {
        if let notice = state.unsent {
            do {
                if let alarm { try await alarm.send(notice) }
                state.unsent = nil
            } catch {
                tell("The mail \"\(notice.subject)\" could not be sent, and is tried again: \(error)")
            }
        }
        do { try state.write(settings.statusFile) } catch {
            tell("The status file cannot be written: \(error.localizedDescription)")
        }
    }

    // MARK: One round

    private func look(_ users: inout Users?) async -> WatchRound {
        let webs = configuration.addresses
        do {
            let known = users
            let current = try await Deadline.within(settings.silentAfter, "logging in took too long") {
                if let known { return known }
                return try await logIn()
            }
            users = current
            let probes = await probe(webs, current)
            let isVoid = probes.contains {
                if case .failure(let error) = $0 { Self.isVoid(error) } else { false }
            }
            if isVoid { users = nil }
            return Self.round(webs, probes, slow: settings.slow)
        } catch let error as MessagingError where Self.isRefusal(error) {
            users = nil
            return WatchRound(webs: [:], refusal: error.message)
        } catch {
            users = nil
            return WatchRound(
                webs: Dictionary(
                    webs.map { ($0.description, .silent(reason: "\(error)")) }, uniquingKeysWith: { $1 }))
        }
    }

    private func probe(_ webs: [WebAddress], _ users: Users) async -> [Result<WatchProbe.Result, any Error>] {
        // Each web address has its task; none throws, so that one does not hide another.
        await withTaskGroup(of: Probed.self) { tasks in
            for (index, web) in webs.enumerated() {
                let probe = WatchProbe(
                    address: web, configuration: configuration, sender: users.sender, reader: users.reader,
                    thread: users.thread, limit: settings.silentAfter)
                tasks.addTask {
                    do { return Probed(index: index, result: .success(try await probe.run())) } catch {
                        return Probed(index: index, result: .failure(error))
                    }
                }
            }
            var results: [Int: Result<WatchProbe.Result, any Error>] = [:]
            for await probed in tasks { results[probed.index] = probed.result }
            return webs.indices.compactMap { results[$0] }
        }
    }

    /// What the probe of one web address came to.
    private struct Probed: Sendable {
        let index: Int
        let result: Result<WatchProbe.Result, any Error>
    }

    /// Whether somebody answered, and did not want these users.
    private static func isRefusal(_ error: MessagingError) -> Bool {
        let refusals: [Refusal.Code] = [.badCredentials, .tooManyRequests, .badRequest, .forbidden]
        return refusals.contains { $0.rawValue == error.code }
    }

    private static func isVoid(_ error: any Error) -> Bool { (error as? MessagingError)?.needsLogIn == true }

    /// Puts together what the Web Services were found to do and what they say of the ASM Services.
    static func round(
        _ webs: [WebAddress], _ probes: [Result<WatchProbe.Result, any Error>], slow: Duration
    ) -> WatchRound {
        func finding(_ time: Duration) -> WatchRound.Finding {
            let seconds = (time / .milliseconds(1)).rounded() / 1e3
            return time > slow ? .slow(seconds: seconds) : .well(seconds: seconds)
        }
        var round = WatchRound(webs: [:])
        var fastest: [String: Duration] = [:]
        var silent: [String: String] = [:]
        for (web, probe) in zip(webs, probes) {
            guard case .success(let result) = probe else { continue }
            for (server, time) in result.deliveries {
                fastest[server] = min(fastest[server] ?? time, time)
            }
            for server in result.status.servers where !server.isHealthy {
                silent[server.address] = "\(web) says that it is \(server.state)"
            }
        }
        // Whoever is slow for one Web Service only is not to blame; nor is a Web Service for a server that is slow
        // for all of them.
        let slowServers = Set(fastest.filter { $0.value > slow }.keys)
        for (web, probe) in zip(webs, probes) {
            switch probe {
            case .failure(let error): round.webs["\(web)"] = .silent(reason: "\(error)")
            case .success(let result):
                let others = result.deliveries.filter { !slowServers.contains($0.key) }
                round.webs["\(web)"] = finding(others.values.max() ?? result.slowest)
            }
        }
        round.servers = fastest.mapValues(finding).merging(silent.mapValues { .silent(reason: $0) }) { $1 }
        return round
    }

    /// Logs both in and finds their thread, or makes it.
    private func logIn() async throws -> Users {
        let both = try await accounts.logIn(count: 2)
        let inbox = try await accounts.web.inbox(before: nil, limit: Self.inboxPage, token: both[0].token)
        let known = inbox.threads.first { thread in
            thread.subject == Self.subject && !thread.isClosed
                && thread.participants.contains { $0.id.id == both[1].user }
        }
        if let known { return Users(sender: both[0], reader: both[1], thread: known.id.id) }
        let thread = try await accounts.web.createThread(
            id: .random(), participants: [both[1].user], subject: Self.subject, token: both[0].token)
        return Users(sender: both[0], reader: both[1], thread: thread)
    }
}

/// What the watch knows, as it is kept in a file: for other programs to read, and for its own next start.
package struct WatchStatus: Sendable, Codable {
    package var checkedAt: Int64 = 0
    /// `well`, `troubled`, `silent` or `unknown`, as the last round found it.
    package var condition = WatchCondition.well.name
    package var round: WatchRound?
    package var judge = WatchJudge()
    /// What could not be mailed yet.
    package var unsent: WatchNotice?

    package init() {}

    /// An unreadable or absent file is a new beginning.
    static func read(_ path: String?) -> WatchStatus {
        guard let path, let data = FileManager.default.contents(atPath: path),
            let status = try? JSONDecoder().decode(WatchStatus.self, from: data)
        else { return WatchStatus() }
        return status
    }

    func write(_ path: String?) throws {
        guard let path else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
