import Glibc
import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("ASM Services and Web Services", .serialized)
    struct ServerRows {
        @Test("F01: ASM Services are killed in turn", .timeLimit(.minutes(4)))
        func f01() async throws {
            try await runRow(
                "F01", injected: "kill -9 of an ASM Service, in turn, four times within 20 s",
                expected: "0 lost, 0 doubled; gap p99 ≤ 1 s, max ≤ 3 s; 0 reconnects", people: 40,
                rate: Build.asm.highRate, Expectation(gap: .seconds(3), p99: .seconds(1))
            ) { site, row in
                for round in 0..<4 {
                    let victim = site.services[round % 2]
                    row.inject()
                    try await victim.kill()
                    try await Task.sleep(for: .milliseconds(Int.random(in: 1_500...2_500)))
                    try await victim.startServing()
                    try await site.untilServing()
                    try await Task.sleep(for: .milliseconds(Int.random(in: 500...1_500)))
                }
            }
        }

        @Test("F04: an ASM Service stands still for 30 s", .timeLimit(.minutes(4)))
        func f04() async throws {
            try await runRow(
                "F04", injected: "SIGSTOP of an ASM Service, SIGCONT 30 s later",
                expected: "gap ≤ 7 s; the woken server stores nothing under its old identity; 0 reconnects",
                Expectation(gap: .seconds(7))
            ) { site, row in
                row.inject()
                site.services[0].signal(SIGSTOP)
                try await Task.sleep(for: .seconds(30))
                site.services[0].signal(SIGCONT)
                try await Task.sleep(for: .seconds(3))
            }
        }

        @Test("F39: a Web Service is killed", .timeLimit(.minutes(4)))
        func f39() async throws {
            try await runRow(
                "F39", injected: "kill -9 of a Web Service; started again 10 s later; then the other one",
                expected: "its clients back ≤ 3 s (p99) at the other one; 0 lost, 0 doubled", people: 40,
                Expectation(gap: .seconds(6), away: .seconds(3))
            ) { site, row in
                for server in site.webServers {
                    row.inject()
                    try await server.kill()
                    try await Task.sleep(for: .seconds(10))
                    try await server.startServing()
                    try await site.untilServing()
                    try await Task.sleep(for: .seconds(5))
                }
            }
        }

        @Test("F46: everything is restarted in turn", .timeLimit(.minutes(5)))
        func f46() async throws {
            try await runRow(
                "F46", injected: "SIGTERM and start of each ASM Service and each Web Service in turn",
                expected: "0 refused, 0 lost; gap ≤ 3 s; clients of a restarted Web Service back ≤ 3 s",
                Expectation(gap: .seconds(3), away: .seconds(3))
            ) { site, row in
                for server in site.services + site.webServers {
                    row.inject()
                    try await server.stop()
                    try await server.startServing()
                    try await site.untilServing()
                    try await Task.sleep(for: .seconds(3))
                }
            }
        }

        @Test("F50: both ASM Services die", .timeLimit(.minutes(4)))
        func f50() async throws {
            try await runRow(
                "F50", injected: "kill -9 of both ASM Services; one is started 10 s later, then the other",
                expected: "nothing acknowledged meanwhile; served ≤ 10 s after the first is back; 0 lost",
                Expectation(gap: .seconds(25))
            ) { site, row in
                row.inject()
                for server in site.services { try await server.kill() }
                try await Task.sleep(for: .seconds(10))
                try await site.services[0].startServing()
                let back = ContinuousClock.now
                try await site.untilReady(within: .seconds(20))
                let took = (ContinuousClock.now - back).wholeMilliseconds
                row.note("ready \(took) ms after the first was back")
                row.check("being ready again", took, atMost: .seconds(10))
                try await site.services[1].startServing()
            }
        }

        @Test("F52: an ASM Service that comes and goes", .timeLimit(.minutes(4)))
        func f52() async throws {
            try await runRow(
                "F52", injected: "an ASM Service is killed and started again five times, 3 s up, 3 s down",
                expected: "gap ≤ 3 s each time; 0 lost, 0 reconnects", Expectation(gap: .seconds(3))
            ) { site, row in
                for _ in 0..<5 {
                    row.inject()
                    try await site.services[1].kill()
                    try await Task.sleep(for: .seconds(3))
                    try await site.services[1].startServing()
                    try await Task.sleep(for: .seconds(3))
                }
            }
        }
    }
}
