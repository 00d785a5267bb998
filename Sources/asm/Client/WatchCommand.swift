import ASMClient
import ArgumentParser
import Configuration
import Domain
import Drill
import Foundation
import Mail
import Synthetic

/// `asm watch`: tells somebody by mail when messages are no longer delivered.
struct WatchCommand: AsyncParsableCommand {
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

    @Option(help: "The Web Services: http://HOST:PORT or https://HOST, several with commas between them.")
    var web: String?

    @Option(
        name: [.customLong("ca"), .customLong("trust")],
        help: "A file of certificates (PEM) to trust instead of the system's.")
    var trust: String?

    @Option(help: "The organisation of the two users.")
    var customer: String?

    @Option(help: "Their log-in names; %d stands for 1 and 2. Default: watch%d.")
    var loginPattern: String?

    @Option(help: "A file with their common password in its first line. Else ASM_PASSWORD is used.")
    var passwordFile: String?

    @Option(help: "A file that keeps their sessions over restarts.")
    var tokenCache: String?

    @Option(help: "Seconds from round to round. Default: 60.")
    var every: String?

    @Option(help: "A delivery that takes longer than so many seconds is slow. Default: 5.")
    var slow: String?

    @Option(help: "What takes longer than so many seconds is silent. Default: 15.")
    var silentAfter: String?

    @Option(
        help:
            "In how many rounds in a row something must be found before it is told. Default: 2; with --once 1."
    )
    var rounds: String?

    @Option(help: "Seconds until somebody is reminded of what is still wrong. Default: 3600.")
    var remind: String?

    @Flag(help: "Look once, and say by the exit status what was found.")
    var once = false

    @Option(help: "A file that keeps what was found and told, as JSON.")
    var statusFile: String?

    @OptionGroup var mail: WatchMailOptions
    @OptionGroup var common: CommonOptions

    static let couldNotTell = ExitCode(3)

    func run() async throws {
        let watch: Watch
        do {
            watch = try await makeWatch()
        } catch {
            Terminal.note("The watch cannot be run: \((error as? ValidationError)?.message ?? "\(error)")")
            throw Self.couldNotTell
        }
        guard once else { return try await watch.run() }
        let round = await watch.once()
        for line in round.details { Terminal.out(line) }
        switch round.condition {
        case .well: Terminal.out("OK: all is well")
        case .troubled(let problems):
            Terminal.out("WARNING: \(problems.joined(separator: "; "))")
            throw ExitCode(1)
        case .silent:
            Terminal.out("CRITICAL: nothing is delivered")
            throw ExitCode(2)
        case .unknown:
            Terminal.out("UNKNOWN: the watch cannot log in")
            throw Self.couldNotTell
        }
    }

    private func makeWatch() async throws -> Watch {
        let settings = try await common.settings(
            [
                "web": web, "ca": trust, "customer": customer, "loginPattern": loginPattern,
                "passwordFile": passwordFile, "tokenCache": tokenCache, "every": every, "slow": slow,
                "rounds": rounds, "remind": remind, "statusFile": statusFile,
                "silentAfter": silentAfter,
            ].merging(mail.values) { first, _ in first })
        let webs = try settings.required("web", example: "https://a.example,https://b.example")
        var configuration = try ClientConfiguration(
            addresses: settings.parsed("web", webs) { try WebAddress.list($0) })
        configuration.trustedCertificatesFile = settings.string("ca") ?? settings.string("trust")
        var watch = Watch.Settings()
        watch.every = try seconds("every", settings, default: 60, within: 1...86_400)
        watch.slow = try seconds("slow", settings, default: 5, within: 0.01...3_600)
        watch.silentAfter = try seconds("silentAfter", settings, default: 15, within: 0.1...60)
        let remind = try seconds("remind", settings, default: 3_600, within: 1...31_536_000)
        let text = settings.number("rounds") ?? (once ? "1" : "2")
        guard let rounds = Int(text), (1...1_000).contains(rounds) else {
            throw ValidationError("--rounds is '\(text)'; expected a whole number from 1 to 1000.")
        }
        watch.rules = WatchJudge.Rules(rounds: rounds, remindEvery: remind)
        watch.statusFile = settings.string("statusFile")
        let pattern = settings.string("loginPattern") ?? "watch%d"
        let password = try ClientPassword.find(file: settings.string("passwordFile"), login: pattern)
        let accounts = try SyntheticAccounts(
            configuration: configuration, customer: settings.string("customer"), pattern: pattern,
            password: Sealed(password), tokenCachePath: settings.string("tokenCache"), deviceName: "asm watch"
        )
        let alarm = try WatchMailOptions.alarm(settings)
        if alarm == nil, !once { Terminal.note("No --mail-to: what is found is only said here.") }
        return Watch(
            settings: watch, accounts: accounts, configuration: configuration, alarm: alarm,
            tell: Terminal.note)
    }

    private func seconds(
        _ key: String, _ settings: Settings, default value: Double, within range: ClosedRange<Double>
    ) throws -> Duration {
        guard let text = settings.number(key) else { return .seconds(value) }
        guard let number = Double(text), range.contains(number) else {
            throw ValidationError(
                "--\(key) is '\(text)'; expected seconds from \(range.lowerBound) to \(range.upperBound).")
        }
        return .seconds(number)
    }
}

extension Settings {
    /// A number as it was written, also where a file has it without quotes.
    fileprivate func number(_ key: String) -> String? {
        string(key) ?? reader.int(forKey: ConfigKey(key)).map { "\($0)" }
            ?? reader.double(forKey: ConfigKey(key)).map { "\($0)" }
    }

    fileprivate func isOn(_ key: String) -> Bool {
        string(key) == "true" || reader.bool(forKey: ConfigKey(key)) == true
    }
}

/// How the watch sends mail.
struct WatchMailOptions: ParsableArguments {
    @Option(help: "Who is told; several with commas between them.")
    var mailTo: String?

    @Option(help: "The sender's address.")
    var mailFrom: String?

    @Option(help: ArgumentHelp("The mail server.", valueName: "host:port"))
    var mailServer: String?

    @Option(help: "The name to log in with there.")
    var mailLogin: String?

    @Option(help: "A file with the password for it in its first line. Else ASM_MAIL_PASSWORD is used.")
    var mailPasswordFile: String?

    @Flag(help: "Use TLS: the connection must become encrypted by STARTTLS before anything is sent.")
    var mailTls = false

    @Flag(help: "Encrypted: TLS from the first byte on.")
    var mailEncrypted = false

    @Option(help: "A file of certificates (PEM) to trust beside the system's.")
    var mailCa: String?

    var values: [String: String?] {
        [
            "mail.to": mailTo, "mail.from": mailFrom, "mail.server": mailServer, "mail.login": mailLogin,
            "mail.passwordFile": mailPasswordFile, "mail.tls": mailTls ? "true" : nil,
            "mail.encrypted": mailEncrypted ? "true" : nil, "mail.ca": mailCa,
        ]
    }

    /// Nil when nobody is to be told.
    static func alarm(_ settings: Settings) throws -> Watch.Alarm? {
        let to = (settings.string("mail.to") ?? "").split(separator: ",").map {
            String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard !to.isEmpty else { return nil }
        let from = try settings.required("mail.from", example: "asm@example.org")
        let text = try settings.required("mail.server", example: "mail.example.org:587")
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else { throw ValidationError("--mail-server is '\(text)'; expected HOST:PORT.") }
        let host = text[..<colon].drop { $0 == "[" }
        let security: MailSecurity
        switch (settings.isOn("mail.tls"), settings.isOn("mail.encrypted")) {
        case (true, true):
            throw ValidationError(
                "Give --mail-tls or --mail-encrypted, not both: port 587 or 465 says which.")
        case (true, false): security = .startTLS
        case (false, true): security = .implicitTLS
        case (false, false): security = .plain
        }
        let login = settings.string("mail.login")
        var password = settings.string("mail.password") ?? ""
        if let file = settings.string("mail.passwordFile") {
            password = try ClientPassword.find(file: file, login: login ?? "")
        }
        let server = MailServer(
            host: String(host.last == "]" ? host.dropLast() : host), port: port, security: security,
            login: login, password: Sealed(password), authorities: settings.string("mail.ca"))
        let sender = MailSender()
        let domain = from.split(separator: "@").last.map { $0.drop { $0 == "<" }.prefix { $0 != ">" } }
        return Watch.Alarm { notice in
            try await sender.send(
                MailMessage(to: to, from: from, subject: notice.subject, body: notice.body), through: server,
                messageID: "<\(notice.id)@\(domain ?? "asm")>")
        }
    }
}
