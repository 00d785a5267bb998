import ASMClient
import ArgumentParser
import Domain
import Drill
import Foundation
import Mail
import Synthetic

/// `asm watch`: tells somebody by mail when messages are no longer delivered.
struct WatchCommand: ServerCommand, SaysItsStatus {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Send a message through everything each minute, and mail when it does not come.",
        discussion: """
            A dead-man's switch: it needs no database and no server, and is best run where the installation is not. \
            Each round sends through every Web Service and every ASM Service, and follows the delivery to a second \
            user. One mail for each change that was found in --rounds rounds in a row, one each --remind while it \
            lasts, one when it is well again. What cannot be mailed is said on the standard error and tried again.

            The two users must exist: asm user add --customer 'Mercy Hospital' --count 2 'watch%d' --password-file FILE

            With --once it looks once, for cron or Nagios. Exit status: 0 all is well, 1 something is silent or slow, \
            2 nothing is delivered, 3 it could not be told (settings, log-in). Keep a --status-file and a \
            --token-cache then, so that it remembers what it has told and need not log in each time.

            Example: asm watch --web https://a.example,https://b.example --customer 'Mercy Hospital' \
            --password-file FILE --mail-to ops@example.org --mail-from asm@example.org \
            --mail-server mail.example.org:587 --mail-login asm --mail-password-file FILE2 --mail-tls
            """)

    @OptionGroup var web: WebOptions

    @Option(help: "The organisation of the two users.")
    var customer: String?

    @Option(help: "Their log-in names; %d stands for 1 and 2.")
    var loginPattern = "watch%d"

    @OptionGroup var password: PasswordOptions

    @Option(help: "A file that keeps their sessions over restarts.")
    var tokenCache: String?

    @Option(help: "Seconds from round to round.", transform: seconds(1...86_400))
    var every = Duration.seconds(60)

    @Option(
        help: "A delivery that takes longer than so many seconds is slow.", transform: seconds(0.01...3_600))
    var slow = Duration.seconds(5)

    @Option(help: "What takes longer than so many seconds is silent.", transform: seconds(0.1...60))
    var silentAfter = Duration.seconds(15)

    @Option(
        help:
            "In how many rounds in a row something must be found before it is told. Default: 2; with --once 1.",
        transform: whole(1...1_000))
    var rounds: Int?

    @Option(
        help: "Seconds until somebody is reminded of what is still wrong.", transform: seconds(1...31_536_000)
    )
    var remind = Duration.seconds(3_600)

    @Flag(help: "Look once, and say by the exit status what was found.")
    var once = false

    @Option(help: "A file that keeps what was found and told, as JSON.")
    var statusFile: String?

    @OptionGroup var mail: WatchMailOptions

    static let couldNotTell = ExitCode(3)
    static let statusOfBadSettings = couldNotTell.rawValue

    func run() async throws {
        let watch: Watch
        do {
            watch = try makeWatch()
        } catch {
            Terminal.note("The watch cannot be run: \((error as? ValidationError)?.message ?? "\(error)")")
            throw Self.couldNotTell
        }
        guard once else { return try await watch.run() }
        let round = await watch.once()
        for line in round.details { try Terminal.out(line) }
        switch round.condition {
        case .well: try Terminal.out("OK: all is well")
        case .troubled(let problems):
            try Terminal.out("WARNING: \(problems.joined(separator: "; "))")
            throw ExitCode(1)
        case .silent:
            try Terminal.out("CRITICAL: nothing is delivered")
            throw ExitCode(2)
        case .unknown:
            try Terminal.out("UNKNOWN: the watch cannot log in")
            throw Self.couldNotTell
        }
    }

    private func makeWatch() throws -> Watch {
        let configuration = try web.configuration()
        var watch = Watch.Settings()
        watch.every = every
        watch.slow = slow
        watch.silentAfter = silentAfter
        watch.rules = WatchJudge.Rules(rounds: rounds ?? (once ? 1 : 2), remindEvery: remind)
        watch.statusFile = statusFile
        let accounts = try SyntheticAccounts(
            configuration: configuration, customer: customer, pattern: loginPattern,
            password: password.read(of: loginPattern), tokenCachePath: tokenCache, deviceName: "asm watch")
        let alarm = try mail.alarm()
        if alarm == nil, !once { Terminal.note("No --mail-to: what is found is only said here.") }
        return Watch(
            settings: watch, accounts: accounts, configuration: configuration, alarm: alarm,
            tell: Terminal.note)
    }
}

/// How the watch sends mail.
struct WatchMailOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Who is told; several with commas between them.", valueName: "address,…"))
    var mailTo: String?

    @Option(help: "The sender's address.")
    var mailFrom: String?

    @Option(help: ArgumentHelp("The mail server.", valueName: "host:port"))
    var mailServer: String?

    @Option(help: "The name to log in with there.")
    var mailLogin: String?

    @Option(
        help: ArgumentHelp(
            "A file with the password for it in its first line. Else ASM_MAIL_PASSWORD is used.",
            valueName: "file"))
    var mailPasswordFile: String?

    @Option(help: ArgumentHelp("For the environment and the settings file only.", visibility: .hidden))
    var mailPassword: String?

    @Flag(help: "Use TLS: the connection must become encrypted by STARTTLS before anything is sent.")
    var mailTls = false

    @Flag(help: "Encrypted: TLS from the first byte on.")
    var mailEncrypted = false

    @Option(help: "A file of certificates (PEM) to trust beside the system's.")
    var mailCa: String?

    /// Nil when nobody is to be told.
    func alarm() throws -> Watch.Alarm? {
        let to = (mailTo ?? "").split(separator: ",").map {
            String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard !to.isEmpty else { return nil }
        guard let from = mailFrom, !from.isEmpty else {
            throw ValidationError("--mail-from is missing. Example: --mail-from asm@example.org")
        }
        guard let text = mailServer, !text.isEmpty else {
            throw ValidationError("--mail-server is missing. Example: --mail-server mail.example.org:587")
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else { throw ValidationError("--mail-server is '\(text)'; expected HOST:PORT.") }
        let host = text[..<colon].drop { $0 == "[" }
        let security: MailSecurity
        switch (mailTls, mailEncrypted) {
        case (true, true):
            throw ValidationError(
                "Give --mail-tls or --mail-encrypted, not both: port 587 or 465 says which.")
        case (true, false): security = .startTLS
        case (false, true): security = .implicitTLS
        case (false, false): security = .plain
        }
        let password = try mailPasswordFile.map { try Passwords.read(file: $0) } ?? Sealed(mailPassword ?? "")
        let server = MailServer(
            host: String(host.last == "]" ? host.dropLast() : host), port: port, security: security,
            login: mailLogin, password: password, authorities: mailCa)
        let sender = MailSender()
        let domain = from.split(separator: "@").last.map { $0.drop { $0 == "<" }.prefix { $0 != ">" } }
        return Watch.Alarm { notice in
            try await sender.send(
                MailMessage(to: to, from: from, subject: notice.subject, body: notice.body), through: server,
                messageID: "<\(notice.id)@\(domain ?? "asm")>")
        }
    }
}
