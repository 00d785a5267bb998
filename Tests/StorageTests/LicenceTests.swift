import Domain
import Foundation
import SQLDatabase
import Store
import TestSupport
import Testing

@Suite("Licences", .serialized)
struct LicenceTests {
    private static let issuer = LicenceIssuer()

    @Test("A licence is taken, shown, and replaced by a newer one", arguments: TestEngine.allCases)
    func install(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            #expect(try await test.store.licence().document == nil)
            var terms = try await test.terms()
            terms.servers = 2

            #expect(try await test.store.installLicence(Self.issuer.issue(terms)) == terms)

            let status = try await test.store.licence()
            #expect(status.document?.terms == terms)
            #expect(status.isExpired == false)
            #expect(status.usage == LicenceUsage(servers: 1, users: 4))
            terms.issuedAt = Timestamp(microseconds: terms.issuedAt.microseconds + 1_000_000)
            terms.servers = 3
            _ = try await test.store.installLicence(Self.issuer.issue(terms))
            #expect(try await test.store.licence().document?.terms.servers == 3)
            #expect(try await test.store.removeLicence())
            #expect(try await test.store.removeLicence() == false)
        }
    }

    @Test("Line ends and blanks of a mail program do no harm", arguments: TestEngine.allCases)
    func mailed(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let terms = try await test.terms()
            let text = try Self.issuer.issue(terms)
            let mailed =
                "Dear customer,\r\n\r\n"
                + text.split(separator: "\n").map { " \($0)  \r\n\r\n" }.joined() + "Regards\r\n"
            #expect(try await test.store.installLicence(mailed) == terms)
        }
    }

    @Test("Every changed character is noticed, and nothing is changed by it")
    func forged() async throws {
        try await withStore(on: .sqlite) { test in
            let terms = try await test.terms()
            let text = try Self.issuer.issue(terms)
            for index in text.indices where !text[index].isWhitespace {
                var forged = text
                forged.replaceSubrange(index...index, with: text[index] == "1" ? "2" : "1")
                await #expect(throws: LicenceProblem.self, "\(forged)") {
                    try await test.store.installLicence(forged)
                }
            }
            let twice = text.split(separator: "\n").flatMap { $0 == "servers: unlimited" ? [$0, $0] : [$0] }
            await #expect(throws: LicenceProblem.notALicence) {
                try await test.store.installLicence(twice.joined(separator: "\n"))
            }
            let changed = text.split(separator: "\n").map { $0 == "servers: unlimited" ? "servers: 99" : $0 }
            await #expect(throws: LicenceProblem.forged) {
                try await test.store.installLicence(changed.joined(separator: "\n"))
            }
            #expect(try await test.store.licence().document == nil)
            #expect(try await test.store.licence().trustedIssuer == nil)
        }
    }

    @Test("A signature in another spelling of the same bytes is none", arguments: 0..<4)
    func otherSpelling(_ bits: Int) async throws {
        try await withStore(on: .sqlite) { test in
            let text = try Self.issuer.issue(try await test.terms())
            let end = try #require(text.range(of: "==\n"))
            let last = text.index(before: end.lowerBound)
            let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
            let value = try #require(alphabet.firstIndex(of: text[last]))
            let other = text.replacingCharacters(in: last...last, with: String(alphabet[value ^ (1 << bits)]))

            await #expect(throws: LicenceProblem.self) { try await test.store.installLicence(other) }
        }
    }

    @Test("Cut short at any place, or empty, or something else, it says so")
    func cutShort() async throws {
        try await withStore(on: .sqlite) { test in
            let text = try Self.issuer.issue(try await test.terms())
            for length in 1..<(text.count - 1) {
                await #expect(throws: LicenceProblem.self) {
                    try await test.store.installLicence(String(text.prefix(length)))
                }
            }
            for (bad, problem) in [
                ("", LicenceProblem.empty), (" \n\r\n ", .empty), ("hello", .notALicence),
                (String(repeating: "x\n", count: 10_000), .notALicence),
                (String(text.prefix(200)), .cutShort),
                (
                    text.split(separator: "\n").filter { !$0.hasPrefix("users:") }.joined(separator: "\n"),
                    .cutShort
                ),
            ] {
                await #expect(throws: problem) { try await test.store.installLicence(bad) }
            }
        }
    }

    @Test(
        "Another installation's, an expired one, and one from the future are refused",
        arguments: TestEngine.allCases)
    func unfit(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let here = try await test.store.licence().installation
            func problem(_ change: (inout LicenceTerms) -> Void) async throws -> LicenceProblem? {
                var terms = try await test.terms()
                change(&terms)
                do {
                    _ = try await test.store.installLicence(Self.issuer.issue(terms))
                    return nil
                } catch let problem as LicenceProblem { return problem }
            }
            let second: Int64 = 1_000_000
            let now = try await test.terms().issuedAt.microseconds
            let other = Token128.random()

            #expect(
                try await problem { $0.installation = other } == .otherInstallation(named: other, here: here))
            let past = Timestamp(microseconds: now - second)
            #expect(try await problem { $0.expiresAt = past } == .expired(past))
            let future = try #require(
                try await problem { $0.issuedAt = Timestamp(microseconds: now + 3_600 * second) })
            guard case .issuedInFuture = future else {
                Issue.record("\(future)")
                return
            }
            #expect(future.description.contains("clock"))
            #expect(try await problem { $0.servers = 0 } == .noServer)
            #expect(try await test.store.licence().document == nil)
            #expect(try await problem { $0.issuedAt = Timestamp(microseconds: now + 60 * second) } == nil)
            let older = try #require(try await problem { _ in })
            guard case .olderThanInstalled = older else {
                Issue.record("\(older)")
                return
            }
        }
    }

    @Test(
        "The first issuer is trusted, another one only when its fingerprint is given",
        arguments: TestEngine.allCases)
    func pinned(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let (first, second) = (LicenceIssuer(), LicenceIssuer())
            let terms = try await test.terms()
            _ = try await test.store.installLicence(first.issue(terms))

            let problem = LicenceProblem.unknownIssuer(
                fingerprint: second.fingerprint, trusted: first.fingerprint)
            await #expect(throws: problem) { try await test.store.installLicence(second.issue(terms)) }
            await #expect(throws: problem) {
                try await test.store.installLicence(second.issue(terms), trusting: "0011223344556677")
            }
            _ = try await test.store.installLicence(second.issue(terms), trusting: second.fingerprint)
            await #expect(throws: LicenceProblem.self) {
                try await test.store.installLicence(first.issue(terms))
            }
            // Who is trusted outlives the licence.
            #expect(try await test.store.removeLicence())
            await #expect(throws: LicenceProblem.self) {
                try await test.store.installLicence(first.issue(terms))
            }
        }
    }

    @Test("An issuer's key is itself again when it is read from its file; anything else is none")
    func issuerFile() throws {
        let issuer = LicenceIssuer()
        #expect(LicenceIssuer(file: issuer.file.open)?.fingerprint == issuer.fingerprint)
        #expect(LicenceIssuer(file: "") == nil)
        #expect(LicenceIssuer(file: "ASM LICENSE ISSUER KEY AAAA") == nil)
        #expect("\(issuer.file)" == "<sealed>")
    }

    @Test(
        "Users beyond the limit are refused with what to do; those who are there stay",
        arguments: TestEngine.allCases)
    func users(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            try await test.limit(servers: nil, users: 6)
            let added = await withTaskGroup(of: Bool.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        do {
                            _ = try await test.store.addUser(
                                login: "u\(index)", name: "u", passwordHash: Sealed("x"), to: test.customer.id
                            )
                            return true
                        } catch StoreError.licence(let sentence) {
                            return !sentence.contains("allows 6 users")
                        } catch { return true }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(added == 2)
            #expect(try await test.store.licence().usage.users == 6)
            // Who has left does not count.
            try await test.store.database.query(
                "UPDATE app_user SET disabled = 1 WHERE id = \(test.bob.id)")
            _ = try await test.store.addUser(
                login: "next", name: "n", passwordHash: Sealed("x"), to: test.customer.id)
            try await test.store.database.query(
                "UPDATE app_user SET disabled = 0 WHERE id = \(test.bob.id)")

            try await test.store.database.query("UPDATE licence SET users = NULL, expires_at = \(.now) - 1")
            await #expect {
                _ = try await test.store.addUser(
                    login: "late", name: "l", passwordHash: Sealed("x"), to: test.customer.id)
            } throws: { "\($0)".contains("expired") }
            let thread = try await test.thread(test.alice, test.bob)
            #expect(try await test.say("goes on", in: thread, by: test.alice).number == 2)
        }
    }
}

extension StoreUnderTest {
    /// Unlimited terms for this installation, issued now.
    func terms() async throws -> LicenceTerms {
        let status = try await store.licence()
        let seconds = status.now.microseconds / 1_000_000
        return LicenceTerms(
            installation: status.installation, licensee: "Mercy Hospital",
            issuedAt: Timestamp(microseconds: seconds * 1_000_000))
    }
}
