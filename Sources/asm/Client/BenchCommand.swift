import ASMClient
import ArgumentParser
import Bench
import Domain
import Synthetic

/// `asm bench`: the load generator.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure an installation, and check that nothing is lost or doubled.",
        discussion: """
            The load is made by simulated users, who must exist: create them with \
            asm user add --customer bench --count 200 'bench%d' --password-file FILE, and name them \
            here with the same pattern. CPU and memory are those of the asm, PostgreSQL and HAProxy \
            processes of this machine. The exit status is 1 when anything was lost, \
            doubled, out of order, refused or unanswered.

            Example: asm bench messages --web http://localhost:8080 --customer bench --password-file FILE \
            --users 200 --max --token-cache tokens
            """,
        subcommands: [Messages.self, Groups.self, Connections.self, LogIns.self, Fairness.self])

    /// What every load needs.
    struct Options: ParsableArguments {
        @OptionGroup var web: WebOptions

        @Option(help: "The organisation of the simulated users.")
        var customer: String?

        @Option(help: "Their log-in names; %d stands for 1, 2, 3 …")
        var loginPattern = "bench%d"

        @Option(help: "A file with their common password in its first line. Else ASM_PASSWORD is used.")
        var passwordFile: String?

        @Option(help: "A file that keeps their sessions, so that the next run need not log in.")
        var tokenCache: String?

        @Flag(help: "Print one JSON object instead of a table.")
        var json = false

        func accounts() throws -> SyntheticAccounts {
            let password = try ClientPassword.find(file: passwordFile, login: loginPattern)
            return try SyntheticAccounts(
                configuration: web.configuration(), customer: customer, pattern: loginPattern,
                password: Sealed(password), tokenCachePath: tokenCache)
        }

        /// Prints the figures and fails where something must not be.
        func finish(_ report: BenchReport) throws {
            Terminal.out(json ? report.json : report.text)
            if !report.faults.isEmpty { throw ExitCode.failure }
        }
    }

    /// What loads of messages have in common.
    struct LoadOptions: ParsableArguments {
        @Option(help: "Messages a second of all users together.")
        var rate: Double?

        @Flag(name: .customLong("max"), help: "As many messages as the servers take.")
        var isMaximum = false

        @Option(help: "With --max: how many messages of a user may be without an answer.")
        var window = 8

        @Option(help: "Bytes of a text, at least 64.")
        var size = 200

        @Option(help: "Seconds to measure.")
        var seconds = 30.0

        @Option(help: "Seconds of load before measuring.")
        var warmup = 3.0

        @Option(help: "Threads of the generator.")
        var threads = 1

        func validate() throws {
            guard (rate != nil) != isMaximum else { throw ValidationError("Give either --rate or --max.") }
        }

        func workload(groups: Int, of size: Int) throws -> MessageWorkload {
            var workload = MessageWorkload(groups: groups, groupSize: size)
            workload.rate = rate
            workload.window = rate == nil ? window : max(window, 64)
            workload.sizeBytes = self.size
            workload.duration = try .option("seconds", seconds: seconds)
            workload.warmup = try .option("warmup", seconds: warmup)
            workload.threads = threads
            do {
                try workload.check()
            } catch {
                throw ValidationError(error.message)
            }
            return workload
        }

        func run(_ workload: MessageWorkload, _ options: Options) async throws {
            let bench = MessageBench(
                workload: workload, accounts: try options.accounts(), progress: Terminal.note)
            try options.finish(try await bench.run().report)
        }
    }

    struct Messages: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Users in pairs send to each other.")

        @OptionGroup var options: Options
        @OptionGroup var load: LoadOptions

        @Option(help: "How many users; they are paired.")
        var users = 200

        func validate() throws {
            guard users >= 2, users.isMultiple(of: 2) else {
                throw ValidationError("--users must be an even number of at least 2.")
            }
        }

        func run() async throws { try await load.run(try load.workload(groups: users / 2, of: 2), options) }
    }

    struct Groups: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Users in groups; every message goes to all others of the group.")

        @OptionGroup var options: Options
        @OptionGroup var load: LoadOptions

        @Option(help: "How many groups.")
        var groups = 20

        @Option(help: "How many members each group has; nobody is in two.")
        var members = 10

        func run() async throws {
            try await load.run(try load.workload(groups: groups, of: members), options)
        }
    }

    struct Connections: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Clients that stay connected and do nothing.")

        @OptionGroup var options: Options

        @Option(help: "How many connections.")
        var connections = 10_000

        @Option(help: "How many users share them.")
        var users = 20

        @Option(help: "Seconds to watch the idle servers.")
        var idle = 10.0

        @Option(help: "Seconds between a client's pings; 0: none.")
        var ping = 20.0

        @Option(help: "Threads of the generator.")
        var threads = 1

        func run() async throws {
            let bench = try ConnectionBench(
                accounts: try options.accounts(), connections: connections, users: users,
                idle: .option("idle", seconds: idle),
                pingInterval: .option("ping", seconds: ping), threads: threads, progress: Terminal.note)
            try options.finish(try await bench.run())
        }
    }

    struct LogIns: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "logins", abstract: "Users log in over and over.")

        @OptionGroup var options: Options

        @Option(help: "How many log-ins.")
        var count = 200

        @Option(help: "How many at once.")
        var concurrency = 8

        @Option(help: "How many users take turns.")
        var users = 20

        func run() async throws {
            let bench = try LogInBench(
                accounts: try options.accounts(), count: count, concurrency: concurrency, users: users)
            try options.finish(try await bench.run())
        }
    }
}
