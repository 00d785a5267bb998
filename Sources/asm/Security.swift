import ArgumentParser
import Foundation
import Logging
import ServiceLink
import TransportSecurity

/// Mutual TLS on the service link, as every process at one of its ends takes it.
struct LinkSecurityOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "This process's certificate for the service link (PEM; asm certificates issue).",
            valueName: "file"))
    var linkCertificate: String?

    @Option(help: ArgumentHelp("The private key of --link-certificate.", valueName: "file"))
    var linkKey: String?

    @Option(
        name: .customLong("link-ca"),
        help: ArgumentHelp(
            "The cluster's authority: only processes with a certificate of it are talked to.",
            valueName: "file"))
    var linkAuthority: String?

    @Flag(help: "Allow the service link in plain text beyond this machine.")
    var allowPlainLink = false
}

/// HTTPS, as every process that apps and browsers connect to takes it.
struct WebSecurityOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The certificate for HTTPS, followed by those of intermediate authorities (PEM).",
            valueName: "file"))
    var certificate: String?

    @Option(help: ArgumentHelp("The private key of --certificate.", valueName: "file"))
    var key: String?

    @Flag(help: "Allow HTTP in plain text beyond this machine, as behind a proxy that ends TLS.")
    var allowPlainHTTP = false
}

extension LinkSecurityOptions {
    /// The certificates of the service link; nil where it may be plain text.
    ///
    /// - Parameter addresses: where it goes from here: that of a listening server, or the Server list.
    func files(
        for purpose: SecurityFiles.Purpose, at addresses: [BindAddress], _ logger: Logger
    ) throws -> SecurityFiles? {
        let given = [
            ("--link-certificate", linkCertificate), ("--link-key", linkKey), ("--link-ca", linkAuthority),
        ]
        guard let files = try together(given) else {
            let open = addresses.filter { !PlainText.isLoopback($0.host) }
            guard !open.isEmpty else { return nil }
            let list = open.map(\.description).joined(separator: ", ")
            guard allowPlainLink else {
                throw CommandFailure(
                    "The service link at \(list) would be plain text, which everybody on its network can read and "
                        + "change: give --link-certificate, --link-key and --link-ca (asm certificates makes them), or "
                        + "allow it by name with --allow-plain-link.")
            }
            logger.warning(
                """
                The service link is plain text: whoever is on its network can read and change every message, and \
                pose as a server. It was allowed with --allow-plain-link
                """, metadata: ["link.addresses": "\(list)"])
            return nil
        }
        let paths = SecurityFiles.Paths(certificate: files[0], key: files[1], authorities: files[2])
        let security = try securityFiles(paths, for: purpose, logger)
        if purpose == .linkServer { warn(of: security, at: addresses, logger) }
        return security
    }

    /// The web tier checks a server's certificate for the name in its Server list, which is most often this one.
    private func warn(of security: SecurityFiles, at addresses: [BindAddress], _ logger: Logger) {
        for address in addresses where !["0.0.0.0", "::"].contains(address.host) {
            guard !security.certificate.isFor(address.host) else { continue }
            logger.warning(
                """
                The certificate is not for the address this server listens on: a Web Service refuses it unless its \
                Server list has one of the certificate's names
                """,
                metadata: [
                    "link.address": "\(address)",
                    "certificate.names": "\(security.certificate.names.joined(separator: ", "))",
                ])
        }
    }
}

extension WebSecurityOptions {
    /// The certificate for HTTPS; nil where plain HTTP may be.
    func files(at address: BindAddress, _ logger: Logger) throws -> SecurityFiles? {
        guard let files = try together([("--certificate", certificate), ("--key", key)]) else {
            guard !PlainText.isLoopback(address.host) else { return nil }
            guard allowPlainHTTP else {
                throw CommandFailure(
                    "HTTP at \(address) would be plain text, passwords included, which everybody on its network can "
                        + "read and change: give --certificate and --key, or, behind a proxy that ends TLS, allow it "
                        + "by name with --allow-plain-http.")
            }
            logger.warning(
                """
                HTTP is plain text: whoever is on its network can read and change everything, passwords included. \
                It was allowed with --allow-plain-http
                """, metadata: ["web.address": "\(address)"])
            return nil
        }
        return try securityFiles(.init(certificate: files[0], key: files[1]), for: .web, logger)
    }
}

private func securityFiles(
    _ paths: SecurityFiles.Paths, for purpose: SecurityFiles.Purpose, _ logger: Logger
) throws -> SecurityFiles {
    let attributes = try? FileManager.default.attributesOfItem(atPath: paths.key)
    if let mode = attributes?[.posixPermissions] as? Int, mode & 0o007 != 0 {
        logger.warning(
            "Every account of this machine can use the private key: take it from the others (chmod o-rwx)",
            metadata: ["file": "\(paths.key)", "mode": "\(String(mode, radix: 8))"])
    }
    do {
        return try SecurityFiles(paths, for: purpose, logger: logger)
    } catch {
        let option =
            purpose == .web ? "--certificate and --key" : "--link-certificate, --link-key and --link-ca"
        throw CommandFailure("\(option): \(error).")
    }
}

/// Files that belong together: all of them, or nil when none is named.
private func together(_ given: [(option: String, file: String?)]) throws -> [String]? {
    let values = given.map { $0.file.flatMap { $0.isEmpty ? nil : $0 } }
    if values.allSatisfy({ $0 == nil }) { return nil }
    let options = given.map(\.option)
    if let missing = values.firstIndex(of: nil) {
        throw CommandFailure(
            "\(options[missing]) is missing: \(options.formatted(.list(type: .and).locale(.init(identifier: "en")))) "
                + "belong together.")
    }
    return values.compactMap(\.self)
}
