import ASMClient
import Domain
import Synthetic

/// Reads the whole thread as every reader at every web address, after everything.
struct FinalReading: Sendable {
    static let page = 500
    /// A web address that does not answer for so long is not waited for.
    static let answerWithin = Duration.seconds(10)

    /// How much longer it may take when the drill is stopped.
    static let stoppedWithin = Duration.seconds(15)

    let thread: MessageThread.ID
    let users: [SyntheticAccount]
    let webs: [WebAddress]
    let configuration: ClientConfiguration
    let earlyEnd: EarlyEnd

    /// What cannot be read is noted with the reason.
    func run(_ ledger: DrillLedger) async {
        await withTaskGroup(of: Void.self) { tasks in
            for web in webs.indices {
                tasks.addTask {
                    do {
                        try await earlyEnd.bound(Self.stoppedWithin) { try await readAll(at: web, ledger) }
                    } catch {
                        // One reader is enough to know it: where one cannot read, nothing is proved.
                        ledger.change { $0.unreadWebs[web] = "\(error)" }
                        if error is EarlyEnd.Cut { ledger.stopped() }
                    }
                }
            }
        }
    }

    private func readAll(at web: Int, _ ledger: DrillLedger) async throws {
        var single = configuration
        single.addresses = [webs[web]]
        let api = try WebAPI(single)
        let (thread, first) = (thread, users[0])
        _ = try await Deadline.within(
            Self.answerWithin, "no answer within \(Self.answerWithin.rounded(0)) s"
        ) { try await api.history(of: thread, .newest, limit: 1, token: first.token) }
        for (path, user) in users.enumerated() {
            let lines = try await read(api, as: user, ledger)
            ledger.change { $0.histories.append(.init(path: path, web: web, lines: lines)) }
        }
    }

    private func read(
        _ api: WebAPI, as user: SyntheticAccount, _ ledger: DrillLedger
    ) async throws -> [DrillRecord.History.Line] {
        var lines: [DrillRecord.History.Line] = []
        var after: EntryNumber = 0
        while true {
            let page = try await api.history(
                of: thread, .after(after), limit: Self.page, token: user.token)
            for entry in page.entries {
                guard let number = entry.number else { continue }
                lines.append(.init(message: ledger.message(entry.clientID), number: number))
            }
            guard page.hasMore, let last = page.entries.last?.number, last > after else { return lines }
            after = last
        }
    }
}
