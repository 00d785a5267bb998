import ASMService
import Domain
import Foundation
import SQLDatabase
import ServiceLink
import Store
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Logging in", .serialized)
struct LogInTests {
    @Test("The right password opens a session whose token only its owner has", arguments: TestEngine.allCases)
    func logIn(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let web = try test.web(try await test.server())

            let token = try await web.logIn("alice")

            guard
                case .identity(let identity) = try await web.pool.request(.whoAmI(LinkWhoAmI()), token: token)
            else { throw UnexpectedAnswer() }
            #expect(identity.user.login == "alice")
            #expect([identity.customerName, identity.deviceName] == ["Acme", "phone"])
            #expect(token.count == 32)
            let stored = try await test.store.database.query("SELECT token_hash FROM session")
            #expect(try stored[0].bytes(0) != token)
            let dump = try await test.store.database.query("SELECT password_hash FROM app_user")
            #expect(try dump.allSatisfy { try $0.string(0).hasPrefix("$argon2id$") })
            for wrong in [try stored[0].bytes(0), [1, 2, 3], nil] {
                #expect(await web.refusal(.whoAmI(LinkWhoAmI()), token: wrong) == .unauthenticated)
            }
            #expect(await web.attach([1]).sink.events.value == [.ended(.unauthenticated)])
        }
    }

    @Test(
        "A name and a password typed on another system are the same, in either normal form",
        arguments: TestEngine.allCases)
    func normalForms(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let web = try test.web(try await test.server())
            let (composed, apart) = ("jos\u{E9}", "jose\u{301}")
            let hash = try await PasswordHasher().hash(Sealed("Gehe\u{301}im-pass\u{308}"))
            _ = try await test.store.addUser(
                login: composed, name: "José", passwordHash: hash, to: test.customer.id)

            for login in [composed, apart] {
                for password in ["Geh\u{E9}im-pass\u{308}", "Gehe\u{301}im-pass\u{308}"] {
                    _ = try await web.logIn(login, password: password)
                }
            }
        }
    }

    @Test("Whatever does not fit is refused alike", arguments: TestEngine.allCases)
    func wrong(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            let web = try test.web(try await test.server())
            for (login, password, customer) in [
                ("alice", "wrong", ""), ("nobody", ServiceUnderTest.password, ""), ("", "", ""),
                ("alice", "", ""), ("alice", ServiceUnderTest.password, "Rival"),
                ("ali\u{0}ce", ServiceUnderTest.password, ""), ("alice", ServiceUnderTest.password, "A\u{0}"),
                ("alice", ServiceUnderTest.password + "\u{0}", ""),
            ] {
                let error = await #expect(throws: Refusal.self) {
                    try await web.logIn(login, password: password, customer: customer)
                }
                #expect(error?.code == .badCredentials, "\(login.debugDescription)")
            }
            let error = await #expect(throws: Refusal.self) {
                try await web.logIn("alice", password: String(repeating: "x", count: 1_025))
            }
            #expect(error?.code == .badRequest)
        }
    }

    @Test("Too many wrong passwords lock the account, for the right one too", arguments: TestEngine.allCases)
    func lockedOut(_ engine: TestEngine) async throws {
        try await withService(on: engine) { test in
            var policy = SessionPolicy()
            policy.failuresBeforeLock = 3
            let web = try test.web(try await test.server(sessions: policy))
            for _ in 0..<3 { _ = try? await web.logIn("alice", password: "wrong") }

            let error = await #expect(throws: Refusal.self) { try await web.logIn("alice") }

            #expect(error?.code == .tooManyRequests)
            #expect((error?.retryAfterMilliseconds ?? 0) > 0)
            _ = try await web.logIn("bob")
        }
    }

    @Test("In a storm of log-ins some are told to wait, none hangs, and memory stays small")
    func storm() async throws {
        try await withService(on: .sqlite) { test in
            var limits = LinkLimits()
            // What the machine does beside must not make a request late.
            limits.attemptWithin = .seconds(60)
            limits.requestWithin = .seconds(60)
            let web = try test.web(try await test.server(), limits: limits)
            let before = try peakMemoryBytes()

            let codes = await withTaskGroup(of: Refusal.Code?.self) { group in
                for _ in 0..<200 {
                    let attempt = LinkLogIn.with {
                        $0.login = "alice"
                        $0.password = ServiceUnderTest.password
                    }
                    group.addTask { await web.refusal(.logIn(attempt), token: nil) }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }

            #expect(codes.count == 200)
            #expect(codes.contains(.tooManyRequests))
            #expect(codes.contains(nil))
            #expect(codes.allSatisfy { $0 == nil || $0 == .tooManyRequests })
            // All at once would take 19 MiB each.
            #expect(try peakMemoryBytes() - before < 1 << 30)
            _ = try await web.logIn("bob")
        }
    }

    private func peakMemoryBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
        return try #require(kibibytes) * 1_024
    }
}
