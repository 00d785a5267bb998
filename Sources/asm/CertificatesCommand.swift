import ArgumentParser
import Domain
import Foundation
import TransportSecurity

/// `asm certificates`: the cluster's own authority, and the certificates it issues.
struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates", abstract: "Make and show the certificates of an installation.",
        discussion: """
            The cluster's authority vouches for every process on the service link. Its key, ca.key, is needed only \
            to issue certificates: keep it off the servers.
            Example: asm certificates init /srv/asm-ca
            """,
        subcommands: [Make.self, Issue.self, Show.self])

    struct Make: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "init", abstract: "Make the cluster's certificate authority: ca.pem and ca.key.",
            discussion: "Example: asm certificates init /srv/asm-ca")

        @Argument(help: ArgumentHelp("The folder to make it in; it is created if need be.", valueName: "dir"))
        var folder: String

        @Option(help: "What the authority is called.")
        var name = "ASM cluster authority"

        @Option(help: "How many days it is valid.", transform: whole(1...20 * 366))
        var days = CertificateAuthority.defaultDays

        @OptionGroup var file: SettingsFileOption

        func validate() throws {
            guard (1...64).contains(name.utf8.count) else {
                throw ValidationError("--name: an authority's name has 1 to 64 bytes.")
            }
        }

        func run() async throws {
            try makeFolder(folder)
            let (authority, key) = try CertificateAuthority.make(named: name, validForDays: days)
            try CertificatesCommand.write(
                certificate: authority.certificatePEM, key: key + "\n", to: folder + "/ca", replaces: false)
            try Terminal.out(
                text:
                    """
                    The authority '\(name)' is valid until \(authority.details.notAfter.utc).
                      \(folder)/ca.pem  its certificate: give it to every process as --link-ca
                      \(folder)/ca.key  its key: whoever has it can join the cluster; keep it off the servers
                    Next: asm certificates issue asm1 --host asm1.example --dir \(folder)
                    """)
        }
    }

    struct Issue: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "issue", abstract: "Issue a certificate: NAME.pem and NAME.key.",
            discussion: """
                The name and the hosts are those by which the others reach the process: for an ASM Service exactly \
                what stands in the Server lists.
                Example: asm certificates issue asm1 --host 10.0.0.11 --host asm1.example --dir /srv/asm-ca
                Example: asm certificates issue web1 --role web --dir /srv/asm-ca
                Example: asm certificates issue admin1 --role admin --dir /srv/asm-ca
                """)

        @Argument(help: "What the certificate and its files are called.")
        var name: String

        @Option(
            help: ArgumentHelp(
                "A host name or address it is for; several with several --host. Default: the name.",
                valueName: "host"))
        var host: [String] = []

        @Option(help: ArgumentHelp("The folder with ca.pem and ca.key.", valueName: "dir"))
        var dir: String

        @Option(
            help: """
                service: both ends of the service link (an ASM Service). web: its calling end only (a Web Service). \
                admin: the same for an Admin Web. https: what apps and browsers see.
                """)
        var role = CertificateWish.Role.service

        @Option(help: "How many days it is valid.")
        var days = CertificateWish.defaultDays

        @Option(help: ArgumentHelp("The folder to write to. Default: that of --dir.", valueName: "dir"))
        var out: String?

        @Flag(help: "Replace files of an earlier certificate of this name.")
        var replace = false

        @OptionGroup var file: SettingsFileOption

        func validate() throws { _ = try wish() }

        private func wish() throws -> CertificateWish {
            do {
                return try CertificateWish(name: name, hosts: host, role: role, days: days)
            } catch {
                throw ValidationError("\(error)")
            }
        }

        func run() async throws {
            let folder = out ?? dir
            let authority = try CertificateAuthority(
                certificateFile: dir + "/ca.pem", keyFile: dir + "/ca.key")
            let issued = try authority.issue(try wish())
            try makeFolder(folder)
            try CertificatesCommand.write(
                certificate: issued.certificatePEM, key: issued.keyPEM, to: "\(folder)/\(name)",
                replaces: replace)
            let use = issued.details.uses.map(\.rawValue).joined(separator: " and ")
            try Terminal.out(
                text:
                    """
                    \(folder)/\(name).pem and \(folder)/\(name).key: for \(issued.details.names.joined(separator: ", ")), \
                    as \(use), for the role \(issued.details.roles.text), until \(issued.details.notAfter.utc).
                    """)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show what certificates say, and how many days they have left.",
            discussion: """
                Ends with status 1 when one of them has expired.
                Example: asm certificates show /etc/asm/*.pem
                """)

        @Argument(help: ArgumentHelp("Files of certificates (PEM).", valueName: "file"))
        var files: [String]

        func run() async throws {
            let now = Date()
            var hasExpired = false
            for file in files {
                for details in try CertificateDetails.all(in: file) {
                    let left = details.daysLeft(at: now)
                    hasExpired = hasExpired || details.notAfter <= now
                    try Terminal.out(
                        text:
                            """
                            \(file)
                              Subject:     \(escapingControls(details.subject))
                              Issuer:      \(escapingControls(details.issuer))
                              Names:       \(details.names.isEmpty ? "none" : escapingControls(details.names.joined(separator: ", ")))
                              For use as:  \(details.uses.map(\.rawValue).joined(separator: ", "))
                              Role:        \(details.uses == [.authority] ? "authority" : details.roles.text)
                              Valid:       \(details.notBefore.utc) to \(details.notAfter.utc)
                              SHA-256:     \(details.colonFingerprint)
                              Days left:   \(details.notAfter <= now ? "none, it has expired" : "\(left)")
                            """)
                }
            }
            if hasExpired { throw ExitCode.failure }
        }
    }

    /// Writes a certificate and its key; neither when one of them is there already.
    private static func write(
        certificate: String, key: String, to path: String, replaces: Bool
    ) throws {
        if !replaces, let file = [path + ".pem", path + ".key"].first(where: FileManager.default.fileExists) {
            throw CommandFailure(
                "\(file) exists already and is left as it is; use another name or folder, or --replace for a "
                    + "certificate that is to be renewed.")
        }
        try SecurityFile.write(key, to: path + ".key", isSecret: true, replaces: replaces)
        try SecurityFile.write(certificate, to: path + ".pem", isSecret: false, replaces: replaces)
    }
}

extension CertificateWish.Role: ExpressibleByArgument {}

private func makeFolder(_ folder: String) throws {
    do {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
        throw CommandFailure("The folder \(folder) cannot be made: \(error.localizedDescription)")
    }
}
