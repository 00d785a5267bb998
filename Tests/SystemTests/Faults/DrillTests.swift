import Foundation
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("The drill", .serialized)
    struct DrillTests {
        /// What a drill prints with --json, as far as it is looked at here.
        private struct Outcome: Decodable {
            struct Gap: Decodable { let max: Double }
            struct Part: Decodable {
                let beganAt: Double
                let beganAfterSeconds: Double
                let gapSeconds: Gap
                let cause: String
                let servers: [String]
                let acknowledged: Int
                let sent: Int
                let reconnects: Int
            }
            struct Used: Decodable {
                let address: String
                let acknowledged: Int
            }
            struct Action: Decodable { let afterSeconds: Double }
            struct Moved: Decodable {
                let afterSeconds: Double
                let moved: Int
                let from: [String]
            }

            let ok: Bool
            let faults: [String]
            let sent: Int
            let acknowledged: Int
            let lost: Int
            let doubled: Int
            let reordered: Int
            let missedLive: Int
            let reconnects: Int
            let longestGapSeconds: Double
            let interruptions: [Part]
            let webs: [Used]
            let servers: [Used]
            let actions: [Action]
            let takeovers: [Moved]

            var isExact: Bool { lost + doubled + reordered + missedLive == 0 }
        }

        private static func arguments(_ deployment: Deployment, seconds: Int, _ more: [String]) -> [String] {
            [
                "drill", "--web", deployment.webs.map(\.description).joined(separator: ","), "--customer",
                "Mercy", "--login-pattern", "user%d", "--password-file", deployment.passwordFile,
                "--seconds", "\(seconds)", "--json",
            ] + more
        }

        private static func outcome(_ ended: Program.Progress) throws -> Outcome {
            do {
                return try JSONDecoder().decode(Outcome.self, from: Data(ended.outputText.utf8))
            } catch {
                throw Program.Failure(description: "\(error): \(ended.outputText)\n\(ended.errorText)")
            }
        }

        private static func drill(
            _ deployment: Deployment, seconds: Int, _ more: [String] = []
        ) async throws -> (status: Int32?, outcome: Outcome, text: String) {
            let ended = try await Program.run(
                arguments(deployment, seconds: seconds, more), within: .seconds(200))
            return (ended.exitStatus, try outcome(ended), ended.outputText + ended.errorText)
        }

        @Test(
            "passes where all is well, having used every server, and writes the page",
            .timeLimit(.minutes(2)))
        func healthy() async throws {
            let deployment = try await Deployment(users: 8)
            let page = deployment.passwordFile + ".html"

            let (status, outcome, text) = try await Self.drill(
                deployment, seconds: 5, ["--html", page, "--rate", "40"])

            #expect(status == 0, "\(text)")
            #expect(outcome.ok)
            #expect(outcome.isExact)
            #expect(outcome.acknowledged == 200 + 8, "one of each to warm up")
            #expect(
                Set(outcome.servers.map(\.address)) == Set(deployment.services.map(\.address)), "\(text)")
            // What is counted came before the first interruption, and a busy machine may have one at the very beginning.
            let least = outcome.interruptions.isEmpty ? 20 : 1
            #expect(outcome.servers.allSatisfy { $0.acknowledged >= least }, "\(text)")
            #expect(outcome.webs.allSatisfy { $0.acknowledged >= least }, "\(text)")
            let html = try String(contentsOfFile: page, encoding: .utf8)
            #expect(html.contains(">PASS<"))
            #expect(html.contains("<svg"))
        }

        @Test(
            "F01: an ASM Service that it kills itself is survived, found where it was, and named",
            .timeLimit(.minutes(2)))
        func killsService() async throws {
            let deployment = try await Deployment(users: 8)
            let victim = deployment.services[0]

            let (status, outcome, text) = try await Self.drill(
                deployment, seconds: 10, ["--rate", "40", "--kill", "\(victim.current.processID)@5"])

            #expect(status == 0, "\(text)\(deployment.report)")
            #expect(outcome.isExact)
            #expect(outcome.acknowledged == outcome.sent)
            #expect(outcome.longestGapSeconds <= 3)
            #expect(outcome.reconnects == 0)
            let action = try #require(outcome.actions.first)
            #expect(abs(action.afterSeconds - 5) < 0.5)
            let gone = try await victim.current.progress.until("the victim should be gone") { $0.exitStatus }
            #expect(gone == 9)
            let takeover = try #require(outcome.takeovers.first, "\(text)")
            #expect(abs(takeover.afterSeconds - action.afterSeconds) <= 0.5, "\(text)")
            #expect(takeover.from == [victim.address])
            #expect(takeover.moved >= 2)
            // A failover within 200 ms is none that anybody notices. A machine that is busy may interrupt elsewhere.
            for part in outcome.interruptions { #expect(part.acknowledged == part.sent, "\(text)") }
        }

        @Test(
            "finds within half a second when a server stood still that somebody else stopped",
            .timeLimit(.minutes(2)))
        func tellsTheTime() async throws {
            let deployment = try await Deployment(users: 8)
            let program = try await Program.asm(
                Self.arguments(deployment, seconds: 14, ["--rate", "40", "--max-gap", "7"]))
            try await program.progress.until("the drill should send") { progress in
                progress.errorText.contains("Take servers down") ? true : nil
            }
            try await Task.sleep(for: .seconds(3))
            deployment.services[1].current.signal(SIGSTOP)
            let stoppedAt = Date().timeIntervalSince1970
            try await Task.sleep(for: .seconds(7))
            deployment.services[1].current.signal(SIGCONT)

            let ended = try await program.ended(within: .seconds(100))

            let outcome = try Self.outcome(ended)
            let part = try #require(
                outcome.interruptions.max { $0.gapSeconds.max < $1.gapSeconds.max }, "\(ended.errorText)")
            #expect(abs(part.beganAt / 1_000 - stoppedAt) <= 0.5, "\(part.beganAt / 1_000 - stoppedAt)")
            #expect(part.servers.contains(deployment.services[1].address))
            #expect(part.gapSeconds.max > 1)
            #expect(ended.exitStatus == 0, "\(ended.outputText)\(ended.errorText)")
            #expect(outcome.isExact)
        }

        @Test("a Web Service that dies and comes back is survived by reconnecting", .timeLimit(.minutes(2)))
        func webServiceBack() async throws {
            let deployment = try await Deployment(users: 8)
            let program = try await Program.asm(Self.arguments(deployment, seconds: 10, ["--rate", "40"]))
            try await program.progress.until("the drill should send") { progress in
                progress.errorText.contains("Take servers down") ? true : nil
            }
            try await Task.sleep(for: .seconds(3))
            try await deployment.webServers[1].kill()
            let killedAt = Date().timeIntervalSince1970
            try await Task.sleep(for: .seconds(2))
            try await deployment.webServers[1].start()

            let ended = try await program.ended(within: .seconds(100))

            let outcome = try Self.outcome(ended)
            #expect(ended.exitStatus == 0, "\(ended.outputText)\(ended.errorText)")
            #expect(outcome.isExact)
            #expect(outcome.reconnects >= 4)
            // Who is back within 200 ms notices nothing; what is found must be where it was.
            for part in outcome.interruptions where part.reconnects > 0 {
                #expect(abs(part.beganAt / 1_000 - killedAt) <= 0.5)
                #expect(part.cause.contains(deployment.webs[1].description), "\(part.cause)")
            }
        }

        @Test("fails where the only ASM Service dies", .timeLimit(.minutes(4)))
        func cannotFailOver() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)

            let (status, outcome, text) = try await Self.drill(
                deployment, seconds: 3,
                ["--users", "2", "--max-gap", "1", "--kill", "\(deployment.services[0].current.processID)"])

            #expect(status == 1, "\(text)")
            #expect(!outcome.ok)
            #expect(outcome.faults.contains { $0.contains("was not over at the end") }, "\(outcome.faults)")
            #expect(outcome.faults.contains { $0.contains("could not be read") }, "\(outcome.faults)")
        }

        @Test("fails where a Web Service stays down, and says which", .timeLimit(.minutes(3)))
        func webServiceStaysDown() async throws {
            let deployment = try await Deployment(users: 4)
            let victim = deployment.webServers[1]

            let (status, outcome, text) = try await Self.drill(
                deployment, seconds: 4,
                ["--users", "4", "--rate", "40", "--kill", "\(victim.current.processID)@2"])

            #expect(status == 1, "\(text)")
            #expect(
                outcome.faults.contains {
                    $0.contains("could not be read") && $0.contains(deployment.webs[1].description)
                }, "\(outcome.faults)")
            #expect(outcome.lost == 0)
        }

        @Test(
            "does not pass where a server of the list was never used, and names it", .timeLimit(.minutes(2)))
        func neverUsed() async throws {
            let deployment = try await Deployment(users: 4, route: { $0 + ["127.0.0.1:9"] })

            let (status, outcome, text) = try await Self.drill(
                deployment, seconds: 3, ["--users", "4", "--rate", "40"])

            #expect(status == 1, "\(text)")
            #expect(
                outcome.faults == [
                    "ASM Service 127.0.0.1:9 was not used before the first failover: it proved nothing"
                ])
        }

        @Test("says with status 2 what it needs where it cannot be run", .timeLimit(.minutes(2)))
        func cannotRun() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)

            let noUsers = try await Program.run(Self.arguments(deployment, seconds: 3, ["--users", "3"]))
            let noProcess = try await Program.run(
                Self.arguments(deployment, seconds: 3, ["--users", "2", "--kill", "4194304"]))
            let tooMuch = try await Program.run(
                Self.arguments(deployment, seconds: 86_400, ["--users", "2"]))
            let endless = try await Program.run(
                Self.arguments(deployment, seconds: 3, ["--users", "2", "--max-gap", "inf"]))
            let nowhere = try await Program.run([
                "drill", "--web", "http://127.0.0.1:9", "--password-file", deployment.passwordFile,
            ])

            #expect(noUsers.exitStatus == 2)
            #expect(noUsers.errorText.contains("asm user add --customer 'Mercy' --count 3 'user%d'"))
            #expect(noProcess.exitStatus == 2)
            #expect(noProcess.errorText.contains("Process 4194304 cannot be taken down"))
            #expect(tooMuch.exitStatus == 2)
            #expect(tooMuch.errorText.contains("lower --rate or --seconds"))
            #expect(endless.exitStatus == 2)
            #expect(
                endless.errorText.contains(
                    "'inf' is invalid for '--max-gap <max-gap>': expected seconds from 0 to 86400."))
            #expect(nowhere.exitStatus == 2)
            #expect(nowhere.errorText.contains("127.0.0.1:9"))
        }
    }
}
