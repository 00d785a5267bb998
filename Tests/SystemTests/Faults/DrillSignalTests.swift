import Foundation
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A drill that somebody ends", .serialized)
    struct DrillSignalTests {
        /// What a drill prints with --json, as far as it is looked at here.
        private struct Outcome: Decodable {
            struct Action: Decodable { let text: String }

            let ok: Bool
            let faults: [String]
            let sent: Int
            let acknowledged: Int
            let lost: Int
            let missedLive: Int
            let stoppedAfterSeconds: Double?
            let actions: [Action]
        }

        /// Starts a drill of a minute, and waits until it has sent for some seconds.
        private static func drill(
            _ deployment: Deployment, _ more: [String] = [], sendingFor time: Duration = .seconds(3)
        ) async throws -> Program {
            let program = try await Program.asm(
                [
                    "drill", "--web", deployment.webs.map(\.description).joined(separator: ","), "--customer",
                    "Mercy", "--login-pattern", "user%d", "--password-file", deployment.passwordFile,
                    "--seconds", "60", "--rate", "40", "--users", "4", "--json",
                ] + more)
            try await program.progress.until("the drill should send", within: .seconds(60)) { progress in
                progress.errorText.contains("Take servers down") ? true : nil
            }
            // It is to be ended in the middle, and so must have lasted.
            try await Task.sleep(for: time)
            return program
        }

        private static func outcome(_ ended: Program.Progress) throws -> Outcome {
            do {
                return try JSONDecoder().decode(Outcome.self, from: Data(ended.outputText.utf8))
            } catch {
                throw Program.Failure(
                    description: "\(ended.exitStatus ?? -1): \(ended.outputText)\n\(ended.errorText)")
            }
        }

        @Test(
            "reports what was measured so far, and says with status 3 that this is no pass",
            .timeLimit(.minutes(2)), arguments: [SIGINT, SIGTERM])
        func reports(signal: Int32) async throws {
            let deployment = try await Deployment(users: 4)
            let page = deployment.passwordFile + ".html"
            let program = try await Self.drill(deployment, ["--html", page])

            program.signal(signal)
            let ended = try await program.ended(within: .seconds(20))

            let outcome = try Self.outcome(ended)
            #expect(ended.exitStatus == 3, "\(ended.errorText)")
            #expect(!outcome.ok)
            #expect(outcome.faults.count == 1 && outcome.faults[0].contains("it was stopped after"))
            let stopped = try #require(outcome.stoppedAfterSeconds)
            #expect((2.5...15).contains(stopped))
            #expect(outcome.acknowledged >= 80)
            #expect(outcome.acknowledged == outcome.sent, "what is on its way is waited for")
            #expect(outcome.lost + outcome.missedLive == 0)
            #expect(try String(contentsOfFile: page, encoding: .utf8).contains(">STOPPED<"))
        }

        @Test(
            "fails with status 1 where something was already wrong, though a Web Service hangs while it reports",
            .timeLimit(.minutes(2)))
        func failsAsBefore() async throws {
            let deployment = try await Deployment(users: 4)
            let program = try await Self.drill(deployment, ["--max-gap", "0.5"])
            for server in deployment.services { server.current.signal(SIGSTOP) }
            try await Task.sleep(for: .seconds(2))
            for server in deployment.services { server.current.signal(SIGCONT) }
            try await program.progress.until("answers should come again") { progress in
                progress.errorText.contains("answered again") ? true : nil
            }
            deployment.webServers[1].current.signal(SIGSTOP)
            program.signal(SIGINT)

            let ended = try await program.ended(within: .seconds(40))
            deployment.webServers[1].current.signal(SIGCONT)

            let outcome = try Self.outcome(ended)
            #expect(ended.exitStatus == 1, "\(ended.errorText)")
            // What hangs at once after it may belong to the same interruption.
            #expect(
                outcome.faults.contains {
                    $0.contains("more than 0.500 s") || $0.contains("was not over at the end")
                }, "\(outcome.faults)")
            #expect(outcome.faults.contains { $0.contains("it was stopped after") }, "\(outcome.faults)")
            #expect(outcome.faults.contains { $0.contains("could not be read") }, "\(outcome.faults)")
        }

        @Test(
            "lets a process go on that it has stopped itself, and a second signal ends it at once",
            .timeLimit(.minutes(2)))
        func secondSignal() async throws {
            let deployment = try await Deployment(users: 4)
            let victim = deployment.webServers[1].current.processID
            let other = deployment.webServers[0].current
            let program = try await Self.drill(
                deployment, ["--stop", "\(victim)@1+50"], sendingFor: .seconds(2))
            #expect(try Self.state(victim) == "T")
            // So that it has something to wait for when it has been told once.
            other.signal(SIGSTOP)
            defer { other.signal(SIGCONT) }

            program.signal(SIGINT)
            try await program.progress.until("the process should go on", within: .seconds(2)) { progress in
                progress.errorText.contains("let process \(victim) go on") ? true : nil
            }
            #expect(try Self.state(victim) != "T")
            program.signal(SIGINT)

            let ended = try await program.ended(within: .seconds(2))
            #expect(ended.exitStatus == 128 + SIGINT)
            #expect(ended.outputText.isEmpty)
        }

        @Test("says with status 2 that nothing was measured where it has not begun", .timeLimit(.minutes(2)))
        func beforeTheBeginning() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            deployment.webServers[0].current.signal(SIGSTOP)
            defer { deployment.webServers[0].current.signal(SIGCONT) }
            let program = try await Program.asm([
                "drill", "--web", "\(deployment.webs[0])", "--customer", "Mercy", "--login-pattern", "user%d",
                "--password-file", deployment.passwordFile, "--users", "2",
            ])
            try await program.progress.until("it should log in") { progress in
                progress.errorText.contains("Logging in") ? true : nil
            }

            program.signal(SIGTERM)

            let ended = try await program.ended(within: .seconds(3))
            #expect(ended.exitStatus == 2)
            #expect(ended.errorText.contains("stopped before it began to send"))
        }

        /// What Linux says of a process: R, S, T (stopped) …
        private static func state(_ process: Int32) throws -> Substring? {
            let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            return text.split(separator: ")").last?.split(separator: " ").first
        }
    }
}
