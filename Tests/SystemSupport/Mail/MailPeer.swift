import Foundation

/// A real mail server (aiosmtpd, in a process of its own) that behaves well or badly, as a test wants.
final class MailPeer: Sendable {
    /// A mail that the server took.
    struct Mail: Decodable, Sendable, Hashable {
        let from: String
        let to: [String]
        /// Headers and body, as they came.
        let text: String
        let encrypted: Bool
        let login: String?

        func header(_ name: String) -> String? {
            let head =
                text.replacingOccurrences(of: "\r\n", with: "\n")
                .components(separatedBy: "\n\n").first ?? ""
            let unfolded = head.replacingOccurrences(of: "\n ", with: " ")
            return unfolded.split(separator: "\n").first { $0.hasPrefix(name + ": ") }
                .map { String($0.dropFirst(name.count + 2)) }
        }

        var body: String {
            let parts = text.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n\n")
            return parts.dropFirst().joined(separator: "\n\n")
        }

        var messageID: String { header("Message-ID") ?? "" }
    }

    private struct Line: Decodable {
        let mail: Mail?
        let auth: String?
        let heard: String?
        let holding: [String]?
        let busy: Int?
    }

    let program: Program
    let port: Int

    /// - Parameters:
    ///   - arguments: of `smtp_peer.py`.
    ///   - port: where it listens; a free one by default.
    ///   - host: the network namespace in which it runs, and its address there; this process's loopback by default.
    init(
        _ arguments: [String] = [], on port: Int? = nil, host: (name: String, address: String)? = nil
    ) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Mail/smtp_peer.py").standardized.path
        program = try await Program(
            "smtp_peer", path: "/usr/bin/python3",
            [script] + arguments + (port.map { ["--port", "\($0)"] } ?? [])
                + (host.map { ["--host", $0.address] } ?? []), on: host?.name)
        self.port = try await program.port()
    }

    private var lines: [Line] { Self.lines(program.progress.value) }

    private static func lines(_ progress: Program.Progress) -> [Line] {
        progress.outputText.split(separator: "\n").compactMap {
            // The first line says where it serves, and the last may be half written.
            try? JSONDecoder().decode(Line.self, from: Data($0.utf8))
        }
    }

    var mails: [Mail] { lines.compactMap(\.mail) }
    /// The logins that somebody tried.
    var logins: [String] { lines.compactMap(\.auth) }
    /// What a server that does not go by the book was told.
    var heard: [String] { lines.compactMap(\.heard) }

    /// Ends the server, and waits for the last it was told.
    func allHeard() async throws -> [String] {
        program.signal(SIGKILL)
        try await program.ended()
        return heard
    }

    /// Waits until so many mails have been taken.
    @discardableResult
    func until(mails count: Int, within limit: Duration = .seconds(60)) async throws -> [Mail] {
        try await program.progress.until("\(count) mails should have come", within: limit) { progress in
            let mails = Self.lines(progress).compactMap(\.mail)
            return mails.count >= count ? mails : nil
        }
    }

    /// Waits until the server holds a mail without an answer.
    func untilHolding(within limit: Duration = .seconds(60)) async throws {
        try await program.progress.until("a mail should be held", within: limit) { progress in
            Self.lines(progress).contains { $0.holding != nil } ? true : nil
        }
    }

    func stop() async throws { try await program.kill() }
}

/// Certificates for a mail server, made anew with openssl: from a CA of their own, good and bad.
struct MailCertificates: Sendable {
    let folder: String

    init(in folder: String, for address: String = "127.0.0.1") throws {
        self.folder = folder
        try Self.openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
            "-keyout", folder + "/ca.key", "-out", folder + "/ca.pem")
        try issue("good", name: "IP:\(address),DNS:localhost", days: "2")
        try issue("other", name: "DNS:mail.elsewhere.example", days: "2")
    }

    var authorities: String { folder + "/ca.pem" }

    /// Arguments for the peer: `good` fits its address, `other` is another host's.
    func arguments(_ name: String) -> [String] {
        ["--certificate", folder + "/\(name).pem", "--key", folder + "/\(name).key"]
    }

    private func issue(_ file: String, name: String, days: String) throws {
        let base = folder + "/" + file
        try "subjectAltName=\(name)\n".write(toFile: base + ".ext", atomically: true, encoding: .utf8)
        try Self.openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(file)", "-keyout", base + ".key", "-out",
            base + ".csr")
        try Self.openssl(
            "x509", "-req", "-in", base + ".csr", "-CA", folder + "/ca.pem", "-CAkey", folder + "/ca.key",
            "-CAcreateserial", "-days", days, "-extfile", base + ".ext", "-out", base + ".pem")
    }

    private static func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Program.Failure(description: "openssl \(arguments.joined(separator: " ")) failed")
        }
    }
}
