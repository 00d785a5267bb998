import ASMClient
import ArgumentParser
import Domain
import Drill
import Foundation
import Synthetic

/// `asm drill`: proves a failover in one command.
struct DrillCommand: SaysItsStatus {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Prove the failover of an installation while you take servers down.",
        discussion: """
            People who are none send and read through every Web Service and every ASM Service. Take servers down \
            meanwhile, one after the other, and let each come back; the drill notices by itself, says for each \
            interruption how long nobody was answered, and in the end reads everything at every web address. \
            docs/drill.md says how to read the report.

            The users must exist: asm user add --customer 'Mercy Hospital' --count 8 'drill%d' --password-file FILE

            Exit status: 0 passed; 1 failed: something was lost, doubled or out of order, a gap was longer than \
            --max-gap, or a server was never used; 2 the drill could not be run; 3 it was stopped with Ctrl-C or \
            SIGTERM, and nothing was wrong until then. A second Ctrl-C ends it at once, without a report.

            Example: asm drill --web https://a.example,https://b.example --customer 'Mercy Hospital' \
            --password-file FILE --seconds 120 --html report.html
            """)

    static let couldNotRun = ExitCode(2)
    static let statusOfBadSettings = couldNotRun.rawValue
    static let stopped = ExitCode(3)

    @OptionGroup var web: WebOptions

    @Option(help: "The organisation of the drill's users.")
    var customer: String?

    @Option(help: "Their log-in names; %d stands for 1, 2, 3 …")
    var loginPattern = "drill%d"

    @Option(
        help: "How many users: each is one session. At least web addresses × ASM Services.",
        transform: whole(1...100_000))
    var users = DrillPlan().paths

    @OptionGroup var password: PasswordOptions

    @Option(help: "A file that keeps their sessions, so that the next drill need not log in.")
    var tokenCache: String?

    @Option(name: .customLong("seconds"), help: "How long to send.", transform: seconds(upToADay))
    var duration = DrillPlan().duration

    @Option(help: "Messages a second of all users together.", transform: number(0.001...1_000_000))
    var rate = DrillPlan().rate

    @Option(
        help: "The longest time in seconds that a message may wait for its acknowledgement.",
        transform: seconds(upToADay))
    var maxGap = DrillPlan().longestGap

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Kill these processes of this machine (SIGKILL), at a second or spread over the drill.",
            valueName: "pid[@seconds]"))
    var kill: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Stop these processes of this machine at a second, for some seconds (SIGSTOP, SIGCONT).",
            valueName: "pid@seconds+seconds"))
    var stop: [String] = []

    @Flag(help: "Print one JSON object instead of the table.")
    var json = false

    @Option(
        help: ArgumentHelp("Write the report as a page, with a picture, to this file.", valueName: "file"))
    var html: String?

    func run() async throws {
        let report: DrillReport
        do {
            let earlyEnd = EarlyEnd()
            let record = try await untilSignal {
                Terminal.note("Stopping: what is on its way is waited for, then comes the report.")
                earlyEnd.ask()
            } run: {
                try await drill(earlyEnd)
            }
            report = DrillReport(record)
        } catch {
            Terminal.note("The drill could not be run: \(error)")
            throw Self.couldNotRun
        }
        if json { try Terminal.out(json: report.json()) } else { try Terminal.out(text: report.text) }
        if let html {
            do {
                try Data(report.html.utf8).write(to: URL(fileURLWithPath: html), options: .atomic)
            } catch {
                Terminal.note("The report cannot be written to \(html): \(error.localizedDescription)")
                throw report.isPassed ? Self.couldNotRun : .failure
            }
        }
        switch report.verdict.outcome {
        case .passed: return
        case .failed: throw ExitCode.failure
        case .stopped: throw Self.stopped
        }
    }

    private func drill(_ earlyEnd: EarlyEnd) async throws -> DrillRecord {
        let configuration = try web.configuration()
        var plan = DrillPlan()
        plan.duration = duration
        plan.rate = rate
        plan.longestGap = maxGap
        plan.paths = users
        try plan.check(webs: configuration.addresses.count)
        let takedowns = try kill.map(Takedown.kill) + stop.map(Takedown.stop)
        let accounts = try SyntheticAccounts(
            configuration: configuration, customer: customer, pattern: loginPattern,
            password: password.read(of: loginPattern), tokenCachePath: tokenCache, deviceName: "asm drill")
        return try await Drill(
            plan: plan, accounts: accounts, configuration: configuration, takedowns: takedowns,
            earlyEnd: earlyEnd, progress: Terminal.note
        ).run()
    }
}
