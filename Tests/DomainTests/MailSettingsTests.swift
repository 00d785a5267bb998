import Domain
import Testing

@Suite("E-mail entries")
struct MailSettingsTests {
    private func settings(
        to: String = "ops@mercy.example", from: String = "asm@mercy.example", subject: String = "",
        server: String = "mail.mercy.example", port: Int? = nil, login: String = "", password: String = "",
        _ security: MailSecurity = .startTLS
    ) throws -> MailSettings {
        try MailSettings(
            to: to, from: from, subject: subject, server: server, port: port, login: login,
            password: Sealed(password), security: security)
    }

    @Test("What is usual is taken, with the usual port")
    func usual() throws {
        let entry = try settings(to: " ops@Mercy.Example; rsmith+asm@mercy.example ,ops@mercy.example")
        #expect(entry.to.map(\.description) == ["ops@mercy.example", "rsmith+asm@mercy.example"])
        #expect(entry.port == 587)
        #expect(try settings(.plain).port == 25)
        #expect(try settings(.implicitTLS).port == 465)
        #expect(try settings(server: "[2001:db8::1]").server == "2001:db8::1")
        #expect(try settings(server: "10.0.0.5", port: 2_525).port == 2_525)
        #expect(!"\(try settings(login: "a", password: "canary"))".contains("canary"))
    }

    @Test("Use TLS and Encrypted at once are refused, with what each means")
    func both() throws {
        let error = #expect(throws: MailSettingsError.bothKindsOfTLS) {
            try MailSecurity(usesTLS: true, isEncrypted: true)
        }
        #expect(error?.description.contains("STARTTLS") == true)
        #expect(try MailSecurity(usesTLS: true, isEncrypted: false) == .startTLS)
        #expect(try MailSecurity(usesTLS: false, isEncrypted: true) == .implicitTLS)
        #expect(try MailSecurity(usesTLS: false, isEncrypted: false) == .plain)
    }

    @Test("What cannot be is refused with a sentence that says what to do")
    func refused() {
        let many = (1...21).map { "a\($0)@x.example" }.joined(separator: ",")
        let attempts: [() throws -> MailSettings] = [
            { try settings(to: "") }, { try settings(to: ",;") }, { try settings(to: many) },
            { try settings(to: "a@b.example\nBcc: c@d.example") }, { try settings(to: "a@b.example\u{0}") },
            { try settings(to: "Ann <a@b.example>") }, { try settings(to: "ä@b.example") },
            { try settings(to: "a@bücher.example") }, { try settings(to: "a@@b.example") },
            { try settings(to: "a@-b.example") }, { try settings(to: "a..b@c.example") },
            { try settings(to: String(repeating: "a", count: 65) + "@b.example") },
            { try settings(to: "a@" + String(repeating: "b.", count: 200) + "example") },
            { try settings(from: "a@b.example, c@d.example") }, { try settings(from: "") },
            { try settings(subject: "a\r\nBcc: x@y.example") },
            { try settings(subject: String(repeating: "x", count: 201)) }, { try settings(server: "") },
            { try settings(server: "mail.example/path") }, { try settings(server: "mail.example:25") },
            { try settings(server: "-o") }, { try settings(server: "user@mail.example") },
            { try settings(port: 0) }, { try settings(port: 65_536) }, { try settings(port: -1) },
            { try settings(login: "a") }, { try settings(password: "b") },
            { try settings(login: "a\r\nRSET", password: "b") },
            { try settings(login: "a", password: "b\u{0}") },
        ]
        for attempt in attempts {
            let error = #expect(throws: MailSettingsError.self) { try attempt() }
            let sentence = error?.description ?? ""
            #expect(sentence.hasSuffix(".") && sentence.count > 20, "\(sentence)")
            #expect(!sentence.holdsControls)
        }
    }

    @Test("Every event is found by its name, however it is written")
    func names() {
        for event in SystemEvent.allCases {
            #expect(SystemEvent(named: event.rawValue) == event)
            #expect(
                SystemEvent(named: event.rawValue.lowercased().split(separator: " ").joined(separator: "-"))
                    == event)
        }
        #expect(SystemEvent(named: "Server") == nil)
        #expect(SystemEvent(named: "") == nil)
    }

    @Test(
        "Moments are written as calendars show them",
        arguments: [
            (0, "1970-01-01 00:00:00 UTC", "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_399, "2000-02-28 23:59:59 UTC", "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "2000-02-29 00:00:00 UTC", "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_795_525_509, "2026-11-24 13:05:09 UTC", "Tue, 24 Nov 2026 13:05:09 +0000"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC", "Mon, 01 Mar 2100 00:00:00 +0000"),
            (-1, "1969-12-31 23:59:59 UTC", "Wed, 31 Dec 1969 23:59:59 +0000"),
        ])
    func calendar(_ seconds: Int64, _ text: String, _ mail: String) {
        let time = CalendarTime(Timestamp(microseconds: seconds * 1_000_000))
        #expect(time.text == text)
        #expect(time.rfc5322 == mail)
    }
}
