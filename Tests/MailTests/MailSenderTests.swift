import Domain
import Foundation
import Mail
import TestSupport
import Testing

@testable import SystemSupport

/// Every test speaks to a real mail server, aiosmtpd, in a process of its own.
@Suite("Sending mail", .serialized)
struct MailSenderTests {
    static let password = "wrong horse battery"

    private static func message(
        to: String = "ops@mercy.example", subject: String = "Test", body: String = "This is a test message."
    ) -> MailMessage {
        MailMessage(to: [to], from: "asm@mercy.example", subject: subject, body: body)
    }

    private static func send(
        _ message: MailMessage = message(), to peer: MailPeer, _ security: MailSecurity = .plain,
        login: String? = nil, password: String = password, authorities: String? = nil,
        host: String = "127.0.0.1",
        limits: MailLimits = MailLimits(), id: String = "<1.2@mercy.example>"
    ) async throws {
        let server = MailServer(
            host: host, port: peer.port, security: security, login: login, password: Sealed(password),
            authorities: authorities)
        try await MailSender(limits: limits).send(message, through: server, messageID: id)
    }

    /// The error that a try must end with.
    private static func failure(_ body: () async throws -> Void) async -> MailError? {
        await #expect(throws: MailError.self) { try await body() }
    }

    @Test("A plain mail arrives as it was written")
    func plain() async throws {
        let peer = try await MailPeer()
        let body = "This is a test message.\n.\n..two dots\n"

        try await Self.send(Self.message(subject: "Server Inactive", body: body), to: peer)

        let mail = try await peer.until(mails: 1)[0]
        #expect(mail.from == "asm@mercy.example")
        #expect(mail.to == ["ops@mercy.example"])
        #expect(mail.header("Subject") == "Server Inactive")
        #expect(mail.header("Message-ID") == "<1.2@mercy.example>")
        #expect(mail.body == body)
        #expect(!mail.encrypted)
    }

    @Test("Use TLS and Encrypted send encrypted, with the login")
    func encrypted() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try MailCertificates(in: folder)
            for (tls, security) in [("starttls", MailSecurity.startTLS), ("implicit", .implicitTLS)] {
                let peer = try await MailPeer(
                    ["--tls", tls, "--login", "asm:\(Self.password)"] + certificates.arguments("good"))

                try await Self.send(
                    to: peer, security, login: "asm", authorities: certificates.authorities)

                let mail = try await peer.until(mails: 1)[0]
                #expect(mail.encrypted, "\(tls)")
                #expect(mail.login == "asm")
            }
        }
    }

    @Test("A wrong password is a matter of settings, and the mail does not go")
    func wrongPassword() async throws {
        let peer = try await MailPeer(["--login", "asm:\(Self.password)"])

        let error = await Self.failure { try await Self.send(to: peer, login: "asm", password: "guess") }

        #expect(error?.kind == .configuration)
        #expect(error?.words.contains("535") == true, "\(String(describing: error))")
        #expect("\(String(describing: error))".contains("guess") == false)
        #expect(peer.mails.isEmpty)
    }

    @Test("A server without STARTTLS, or one that takes it back, gets neither login nor mail")
    func strippedTLS() async throws {
        let without = try await MailPeer(["--login", "asm:\(Self.password)"])
        let first = await Self.failure { try await Self.send(to: without, .startTLS, login: "asm") }
        #expect(first?.kind == .configuration)
        #expect(without.mails.isEmpty)
        #expect(without.logins.isEmpty)

        let refusing = try await MailPeer(["--behave", "starttls-454"])
        let second = await Self.failure { try await Self.send(to: refusing, .startTLS, login: "asm") }
        #expect(second?.kind == .configuration)
        let heard = try await refusing.allHeard()
        #expect(heard.contains("STARTTLS"))
        #expect(!heard.contains { $0.hasPrefix("AUTH") || $0.hasPrefix("MAIL") }, "\(heard)")
    }

    @Test("A certificate of an unknown CA or of another host ends the try before anything is said")
    func badCertificate() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try MailCertificates(in: folder)
            for (tls, security) in [("starttls", MailSecurity.startTLS), ("implicit", .implicitTLS)] {
                let unknown = try await MailPeer(
                    ["--tls", tls, "--login", "asm:\(Self.password)"] + certificates.arguments("good"))
                let first = await Self.failure { try await Self.send(to: unknown, security, login: "asm") }
                #expect(first?.kind == .configuration, "\(tls): \(String(describing: first))")

                let other = try await MailPeer(
                    ["--tls", tls, "--login", "asm:\(Self.password)"] + certificates.arguments("other"))
                let second = await Self.failure {
                    try await Self.send(
                        to: other, security, login: "asm", authorities: certificates.authorities)
                }
                #expect(second?.kind == .configuration, "\(tls): \(String(describing: second))")
                #expect(unknown.logins + other.logins == [])
                #expect(unknown.mails + other.mails == [])
            }
            let good = try await MailPeer(["--tls", "implicit"] + certificates.arguments("good"))
            let third = await Self.failure {
                try await Self.send(to: good, .implicitTLS, authorities: folder + "/absent.pem")
            }
            #expect(third?.kind == .configuration)
        }
    }

    @Test("Plain speech with a server that expects TLS ends in an error, not in a wait")
    func plainToTLS() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try MailCertificates(in: folder)
            let peer = try await MailPeer(["--tls", "implicit"] + certificates.arguments("good"))
            var limits = MailLimits()
            limits.tryWithin = .seconds(3)

            let error = await Self.failure { try await Self.send(to: peer, .plain, limits: limits) }
            #expect(error?.kind == .temporary)

            let plain = try await MailPeer()
            let other = await Self.failure { try await Self.send(to: plain, .implicitTLS, limits: limits) }
            #expect(other?.kind == .configuration)
        }
    }

    @Test(
        "What the server refuses is told apart, in its own words",
        arguments: [
            (["--refuse", "ops@mercy.example"], MailError.Kind.permanent, "550 5.1.1 no such mailbox"),
            (["--later", "ops@mercy.example"], .temporary, "451 4.2.0 mailbox busy"),
            (["--behave", "data-554"], .permanent, "554 5.6.0 message not wanted"),
            (["--busy", "1"], .temporary, "452 4.3.1 out of storage"),
            (["--behave", "mail-550"], .configuration, "550 5.7.1 sender not wanted"),
            (["--behave", "greet-554"], .temporary, "554 5.3.2 no mail here today"),
            (["--login", "asm:secret-word"], .configuration, "530"),
        ])
    func refusals(_ arguments: [String], _ kind: MailError.Kind, _ words: String) async throws {
        let peer = try await MailPeer(arguments)

        let error = await Self.failure { try await Self.send(to: peer) }

        #expect(error?.kind == kind, "\(String(describing: error))")
        #expect(error?.words.contains(words) == true, "\(String(describing: error))")
        #expect(peer.mails.isEmpty)
    }

    @Test("A server that is away, hangs up or stalls costs no more than the deadline")
    func away() async throws {
        var limits = MailLimits()
        limits.tryWithin = .seconds(3)
        let gone = try await MailPeer()
        try await gone.stop()
        let closing = try await MailPeer(["--behave", "close"])
        let stalling = try await MailPeer(["--behave", "stall"])
        for peer in [gone, closing, stalling] {
            let start = ContinuousClock.now

            let error = await Self.failure { try await Self.send(to: peer, limits: limits) }

            #expect(error?.kind == .temporary, "\(String(describing: error))")
            #expect(ContinuousClock.now - start < .seconds(8))
        }
        let nowhere = await Self.failure {
            try await Self.send(to: gone, host: "no-such-host.invalid", limits: limits)
        }
        #expect(nowhere?.kind == .temporary)
    }

    @Test("A cancelled try ends soon")
    func cancelled() async throws {
        let peer = try await MailPeer(["--behave", "stall"])
        let start = ContinuousClock.now
        let sending = Task { try await Self.send(to: peer) }
        try await Task.sleep(for: .milliseconds(300))
        sending.cancel()

        await #expect(throws: CancellationError.self) { try await sending.value }
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test(
        "Whatever could begin another header or command is refused before anything is said",
        arguments: [
            "ops@mercy.example\r\nBcc: thief@evil.example", "ops@mercy.example\nBcc: x@y.example",
            "ops@mercy.example>\r\nRCPT TO:<thief@evil.example", "ops@mercy.example\u{0}",
            "ops@mercy.example\u{2028}Bcc: x@y.example", "ops@mercy.example, thief@evil.example",
            "\"a b\"@mercy.example", "Ops <ops@mercy.example>", "ops@mercy..example", "ops", "@", "",
        ])
    func injection(_ text: String) async throws {
        let peer = try await MailPeer()
        var from = Self.message()
        from.from = text
        for message in [Self.message(to: text), from] {
            let error = await Self.failure { try await Self.send(message, to: peer) }
            #expect(error?.kind == .permanent)
        }
        let subject = await Self.failure {
            try await Self.send(Self.message(subject: "a\r\nBcc: thief@evil.example"), to: peer)
        }
        #expect(subject?.kind == .permanent)
        let id = await Self.failure { try await Self.send(to: peer, id: "<1@x>\r\nBcc: a@b.example") }
        #expect(id?.kind == .permanent)

        try await Self.send(to: peer)
        let mails = try await peer.until(mails: 1)
        #expect(mails.count == 1)
        #expect(mails[0].to == ["ops@mercy.example"])
        #expect(mails[0].header("Bcc") == nil)
    }

    @Test("Every language arrives in subject and body, long ones too")
    func languages() async throws {
        let peer = try await MailPeer()
        let subject = "Räume – 病院の通知 " + String(repeating: "ß🚑", count: 12)
        let body = "Ä\r\nlong: " + String(repeating: "x", count: 3_000) + "\n護士 🚑\n"

        try await Self.send(Self.message(subject: subject, body: body), to: peer)

        let mail = try await peer.until(mails: 1)[0]
        #expect(mail.text.split(whereSeparator: \.isNewline).allSatisfy { $0.utf8.count <= 998 })
        #expect(mail.text.utf8.allSatisfy { $0 < 0x80 })
        let words = try #require(mail.header("Subject")).split(separator: " ").map { word in
            Data(base64Encoded: String(word.dropFirst("=?UTF-8?B?".count).dropLast(2))) ?? Data()
        }
        #expect(words.allSatisfy { String(data: $0, encoding: .utf8) != nil })
        #expect(String(decoding: words.reduce(Data(), +), as: UTF8.self) == subject)
        let decoded = Data(base64Encoded: mail.body, options: .ignoreUnknownCharacters) ?? Data()
        #expect(
            String(decoding: decoded, as: UTF8.self) == "Ä\r\nlong: " + String(repeating: "x", count: 3_000)
                + "\r\n護士 🚑")
    }

    @Test("The environment's proxy does not get mail or password")
    func noProxy() async throws {
        let peer = try await MailPeer()
        setenv("all_proxy", "socks5h://127.0.0.1:1", 1)
        defer { unsetenv("all_proxy") }

        try await Self.send(to: peer)

        _ = try await peer.until(mails: 1)
    }
}
