import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Figures of the cluster for monitoring", .serialized)
    struct ClusterMetricsTests {
        @Test(
            "each server tells slots, incidents, mails and everybody's Last Active, and that it is degraded",
            .timeLimit(.minutes(2)))
        func tells() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                try await installation.run(
                    "events", "mail", "add", "--to", "ops@x.example", "--from", "asm@x.example", "--server",
                    "127.0.0.1", "--port", "\(try LoopbackPort.free())")
                try await installation.run("events", "set", "Server Unlicensed", "--use-default", "yes")
                let first = try await Self.service(installation)
                #expect(try await Self.figures(first.health)["asm_license_slots_limit"] == .infinity)
                try await installation.license(servers: 1)
                let second = try await Self.service(installation)

                try await Self.until("the second should be degraded", second.health) {
                    $0["asm_server_degraded"] == 1 && $0["asm_license_slots_limit"] == 1
                        && $0[#"asm_mail_outbox_mails{state="waiting"}"#] == 1
                }
                let seen = try await Self.figures(second.health)
                func age(_ server: String) -> String {
                    #"asm_server_last_active_age_seconds{server="\#(server)"}"#
                }
                #expect(seen["asm_license_slots_held"] == 1)
                #expect(seen[#"asm_mail_outbox_mails{state="dead"}"#] == 0)
                #expect(seen[#"asm_incidents_open{kind="inactive"}"#] == 0)
                #expect(try #require(seen[age(first.server.address)]) <= 3)
                #expect(try #require(seen[age(second.server.address)]) <= 3)
                let readAt = try #require(seen["asm_cluster_read_timestamp_seconds"])
                #expect(abs(readAt - Date().timeIntervalSince1970) < 10)
                try await Self.until("the first should not be degraded", first.health) {
                    $0["asm_server_degraded"] == 0 && $0["asm_license_slots_limit"] == 1
                }

                _ = try await installation.query("UPDATE mail_outbox SET state = 2")
                try await first.server.kill()
                try await Self.until("the second should serve and tell of the first", second.health) {
                    $0["asm_server_degraded"] == 0 && $0[#"asm_incidents_open{kind="inactive"}"#] == 1
                        && $0[#"asm_incidents_open{kind="unreachable"}"#] == 1
                        && $0[age(first.server.address)] ?? 0 >= 6
                        && $0[#"asm_mail_outbox_mails{state="dead"}"#] ?? 0 >= 1
                }

                try await installation.run(
                    "servers", "remove", first.server.address, "--config", installation.shortTimesFile)
                try await Self.until("who was removed should be gone", second.health) {
                    $0[age(first.server.address)] == nil && $0[age(second.server.address)] != nil
                }
            }
        }

        @Test("what is told is Prometheus text: each name has one HELP and one TYPE before its values")
        func format() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let service = try await Self.service(installation)
                _ = try await Self.figures(service.health)

                let text = try await service.health.ask("GET", "/metrics").text ?? ""

                var described: [String: Int] = [:]
                var typed: [String: Int] = [:]
                for line in text.split(separator: "\n") {
                    let words = line.split(separator: " ")
                    if line.hasPrefix("# HELP ") {
                        described[String(words[2]), default: 0] += 1
                    } else if line.hasPrefix("# TYPE ") {
                        typed[String(words[2]), default: 0] += 1
                    } else {
                        let name = String(line.prefix { $0 != "{" && $0 != " " })
                            .replacing(#/_(bucket|sum|count)$/#, with: "")
                        #expect(described[name] == 1 && typed[name] == 1, "\(line)")
                        #expect(Double(words.last ?? "") != nil, "\(line)")
                    }
                }
                #expect(described.keys.contains("asm_license_slots_held"))
                let documented = try String(contentsOfFile: "docs/monitoring.md", encoding: .utf8)
                for name in described.keys {
                    #expect(documented.contains("`\(name)`"), "docs/monitoring.md lacks \(name)")
                }
            }
        }

        /// An ASM Service with short times, and where it tells its health.
        private static func service(_ installation: Installation) async throws -> (
            server: Server, health: Web
        ) {
            let port = try LoopbackPort.free()
            let server = try await Server(
                ["service", "--database", installation.databaseURL, "--config", installation.shortTimesFile],
                environment: ["ASM_HEALTH": "127.0.0.1:\(port)"])
            return (server, Web(port: port))
        }

        /// Every value by its name and labels, as soon as there are some.
        private static func figures(_ health: Web) async throws -> [String: Double] {
            let end = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < end {
                // Not listening yet is what is waited for.
                let text = (try? await health.ask("GET", "/metrics").text ?? "") ?? ""
                let values = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                    line.lastIndex(of: " ").map { space in
                        (String(line[..<space]), Double(line[line.index(after: space)...]) ?? .nan)
                    }
                }
                let figures = Dictionary(values) { $1 }
                if figures["asm_cluster_read_timestamp_seconds"] != nil { return figures }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw NotInTime(what: "the figures should be read", limit: .seconds(20))
        }

        private static func until(
            _ what: String, _ health: Web, _ holds: ([String: Double]) -> Bool
        ) async throws {
            let end = ContinuousClock.now + .seconds(30)
            var last: [String: Double] = [:]
            while ContinuousClock.now < end {
                last = try await figures(health)
                if holds(last) { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            throw Program.Failure(
                description: "\(what), and did not: \(last.filter { $0.key.hasPrefix("asm_") })")
        }
    }
}
