import ASMClient
import ArgumentParser
import Bench
import Domain
import Logging
import Store
import Synthetic

extension BenchCommand {
    /// `asm bench fairness`: what one customer notices of another that does its worst.
    struct Fairness: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One customer does its worst; another's send, inbox and log-in are timed.",
            discussion: """
                Both customers must exist, and their users: log-in names by --login-pattern for the one that is measured, \
                by --attacker-pattern for the other, with one password. With --database the attacker's first user is \
                given --threads threads first. It fails when p99 under attack is not below twice the quiet value and \
                20 ms, when anything of the measured customer is refused, and when a heartbeat fails.

                Example: asm bench fairness --web http://127.0.0.1:8080 --customer mercy --attacker vince \
                --password-file FILE --database URL --health http://127.0.0.1:7501
                """)

        @OptionGroup var options: Options
        @OptionGroup var database: DatabaseOptions

        @Option(help: "The organisation that attacks.")
        var attacker: String

        @Option(help: "The log-in names of its users; %d stands for 1, 2, 3 …")
        var attackerPattern = "attacker%d"

        @Option(help: "How many of its users attack.")
        var attackers = 20

        @Option(help: "With --database: how many threads its first user is given.")
        var threads = 100_000

        @Option(help: "Connections of the attacker.")
        var connections = 300

        @Option(
            name: .customLong("seconds"), help: "Seconds to measure, without the attack and under it.",
            transform: seconds(upToADay))
        var time: Duration = .seconds(30)

        @Option(
            help:
                "Where the ASM Services tell their health (--health there), as http://HOST:PORT,http://HOST:PORT."
        )
        var health: String?

        func run() async throws {
            let measured = try options.accounts()
            let worst = try SyntheticAccounts(
                configuration: options.web.configuration(), customer: attacker, pattern: attackerPattern,
                password: measured.password, tokenCachePath: nil)
            var plan = FairnessBench.Plan()
            plan.connections = connections
            plan.attackers = attackers
            plan.duration = time
            let bench = try FairnessBench(
                measured: measured, attacker: worst, plan: plan,
                services: try health.map { try WebAddress.list($0) } ?? [],
                progress: Terminal.note)
            try await makeThreads(for: worst)
            try options.finish(try await bench.run().report)
        }

        private func makeThreads(for worst: SyntheticAccounts) async throws {
            guard database.database != nil else { return }
            Terminal.note("Making \(threads) threads.")
            try await withStore(Logger(label: "asm"), database) { store in
                let customer = try await store.customer(named: attacker)
                let user = try await store.users(of: customer.id, logins: [worst.login(of: 0)]).first
                guard let user else {
                    throw ValidationError(
                        "\(attacker) has no user '\(worst.login(of: 0))': add its users first.")
                }
                try await store.makeThreads(threads, of: user.id, at: customer.id)
            }
        }
    }
}
