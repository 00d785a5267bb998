import ArgumentParser
import Domain
import Foundation
import Store

struct LicenseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "license",
        abstract: "The license of this installation: what it allows and how much is used.",
        discussion: "Without a license nothing is limited.",
        subcommands: [Show.self, Install.self, Issue.self, Remove.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show this installation's number, its license, and what is used of it.",
            discussion: "Example: asm license show --database postgresql://asm@db1,db2/asm")

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let status = try await withStore(common, database) { try await $0.licence() }
            for line in Self.lines(status) { try Terminal.out(line) }
        }

        static func lines(_ status: LicenceStatus) -> [String] {
            var lines = ["Installation: \(status.installation)"]
            if let key = status.trustedIssuer {
                lines.append("Trusted issuer: \(LicenceIssuer.fingerprint(ofBase64: key))")
            }
            guard let terms = status.document?.terms else {
                return lines + [
                    "No license is installed: nothing is limited.",
                    "In use: \(status.usage.servers) servers, \(status.usage.users) users.",
                ]
            }
            func limit(_ value: Int64?) -> String { value.map { "\($0)" } ?? "unlimited" }
            let expiry = terms.expiresAt.map { CalendarTime($0).text } ?? "never"
            lines += [
                "Licensed to: \(terms.licensee)",
                "Issued: \(CalendarTime(terms.issuedAt).text)",
                "Expires: \(expiry)"
                    + (status.isExpired ? " - EXPIRED: one server serves, no users can be added" : ""),
                "High Availability servers: \(limit(terms.servers)) (in use: \(status.usage.servers))",
                "Users: \(limit(terms.users)) (in use: \(status.usage.users))",
                "Groups: \(limit(terms.groups))", "Roles: \(limit(terms.roles))",
                "Users with attachments: \(limit(terms.attachmentUsers))",
            ]
            if let users = terms.users, status.usage.users > users {
                lines.append(
                    "There are more users than the license allows: they go on, but none can be added.")
            }
            return lines
        }
    }

    struct Install: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a license file and install it; it is in force at once, on every server.",
            discussion: """
                The issuer of the first license is trusted from then on, and no other, unless its fingerprint is given \
                with --trust. A license that is refused changes nothing.
                Example: asm license install mercy.license --database postgresql://asm@db1,db2/asm
                """)

        @Argument(help: ArgumentHelp("The file that the issuer sent.", valueName: "file"))
        var file: String

        @Option(
            help: ArgumentHelp(
                "Trust the issuer with this fingerprint from now on.", valueName: "fingerprint"))
        var trust: String?

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let text = try Self.read(file)
            let (terms, issuer) = try await withStore(common, database) { store in
                (
                    try await store.installLicence(text, trusting: trust),
                    try await store.licence().trustedIssuer
                )
            }
            try Terminal.out("The license for \(terms.licensee) is installed and in force.")
            try Terminal.out(
                "Issuer: \(LicenceIssuer.fingerprint(ofBase64: issuer ?? "")). Only its licenses are taken from now on."
            )
        }

        static func read(_ path: String) throws -> String {
            guard let handle = FileHandle(forReadingAtPath: path) else {
                throw ValidationError("The file '\(path)' cannot be opened.")
            }
            let bytes = try handle.read(upToCount: LicenceText.limitBytes + 1) ?? Data()
            guard let text = String(data: bytes, encoding: .utf8) else { throw LicenceProblem.notALicence }
            return text
        }
    }

    struct Issue: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Issue a license: for whoever gives licenses to installations.",
            discussion: """
                Makes the issuer's key file when it does not exist yet. Keep it secret: whoever has it can issue licenses.
                A limit that is not given is unlimited. Dates are UTC: 2027-12-31, or 2027-12-31T12:00:00Z.
                Example: asm license issue --key issuer.key --installation 0d8cbf0e-43c8-4c0e-9d50-0b9a7e0c5a11 \
                --licensee 'Mercy Hospital' --servers 2 --users 500 --expires 2027-12-31 --out mercy.license
                """)

        @Option(help: ArgumentHelp("The issuer's private key.", valueName: "file"))
        var key: String

        @Option(help: "The installation's number, from `asm license show`.")
        var installation: String

        @Option(help: "Who is licensed.")
        var licensee: String

        @Option(help: "ASM Services that may serve at the same time.", transform: whole(0...Int64.max))
        var servers: Int64?

        @Option(help: "Users.", transform: whole(0...Int64.max))
        var users: Int64?

        @Option(help: "Groups.", transform: whole(0...Int64.max))
        var groups: Int64?

        @Option(help: "Roles.", transform: whole(0...Int64.max))
        var roles: Int64?

        @Option(help: "Users who may send attachments.", transform: whole(0...Int64.max))
        var attachmentUsers: Int64?

        @Option(help: "When it ends. Default: never.")
        var expires: String?

        @Option(help: "When it is issued. Default: now.")
        var issued: String?

        @Option(help: ArgumentHelp("Where to write it. Default: standard output.", valueName: "file"))
        var out: String?

        @OptionGroup var file: SettingsFileOption

        func run() async throws {
            guard let installation = Token128(installation) else {
                throw ValidationError(
                    "'\(installation)' is no installation's number; `asm license show` prints it there.")
            }
            guard !licensee.isEmpty, licensee.utf8.count <= 200, !licensee.contains(where: \.isNewline) else {
                throw ValidationError("--licensee takes one line of 1 to 200 bytes.")
            }
            let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970) * 1_000_000)
            let terms = LicenceTerms(
                installation: installation, licensee: licensee, servers: servers, users: users,
                groups: groups,
                roles: roles, attachmentUsers: attachmentUsers,
                issuedAt: try issued.map { try Self.time($0, "--issued") } ?? now,
                expiresAt: try expires.map { try Self.time($0, "--expires") })
            let text = try issuer().issue(terms)
            guard let out else { return try Terminal.out(raw: text) }
            try text.write(toFile: out, atomically: true, encoding: .utf8)
            try Terminal.out("The license for \(licensee) is in '\(out)'.")
        }

        private func issuer() throws -> LicenceIssuer {
            if FileManager.default.fileExists(atPath: key) {
                guard let issuer = LicenceIssuer(file: try Install.read(key)) else {
                    throw ValidationError(
                        "The file '\(key)' holds no issuer's key; name another file, and a new key is written to it."
                    )
                }
                return issuer
            }
            let issuer = LicenceIssuer()
            guard
                FileManager.default.createFile(
                    atPath: key, contents: Data(issuer.file.open.utf8), attributes: [.posixPermissions: 0o600]
                )
            else { throw ValidationError("The key cannot be written to '\(key)'.") }
            Terminal.note("A new issuer key, \(issuer.fingerprint), is in '\(key)': keep it secret.")
            return issuer
        }

        private static func time(_ text: String, _ option: String) throws -> Timestamp {
            guard let time = Timestamp(iso8601: text) else {
                throw ValidationError("\(option) is '\(text)'; expected 2027-12-31, or 2027-12-31T12:00:00Z.")
            }
            return time
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove the license: nothing is limited then. Its issuer stays the trusted one.",
            discussion: "Example: asm license remove --database postgresql://asm@db1,db2/asm")

        @OptionGroup var database: DatabaseOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let removed = try await withStore(common, database) { try await $0.removeLicence() }
            try Terminal.out(
                removed ? "The license has been removed: nothing is limited." : "No license is installed.")
        }
    }
}
