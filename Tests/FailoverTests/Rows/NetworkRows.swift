import Testing

@testable import SystemSupport

extension FailoverTests {
    @Suite("Networks that are cut", .serialized)
    struct NetworkRows {
        @Test("F06: an ASM Service loses its database, silently", .timeLimit(.minutes(4)))
        func f06() async throws {
            try await runRow(
                "F06", injected: "packets between asm-a and both databases are dropped for 15 s",
                expected: "gap ≤ 10 s; 0 lost, 0 doubled, 0 reconnects", Expectation(gap: .seconds(10))
            ) { _, row in
                row.inject()
                try await Network.cut(.asmA, from: Host.databases)
                try await Task.sleep(for: .seconds(15))
                try await Network.heal(.asmA)
                try await Task.sleep(for: .seconds(3))
            }
        }

        @Test("F07: an ASM Service does not hear its database's answers", .timeLimit(.minutes(4)))
        func f07() async throws {
            try await runRow(
                "F07", injected: "packets from both databases to asm-a are dropped for 15 s; its own arrive",
                expected: "what was committed unheard is answered as a repeat; gap ≤ 10 s; 0 doubled",
                Expectation(gap: .seconds(10))
            ) { _, row in
                row.inject()
                try await Network.cut(.asmA, from: Host.databases, .dropIncoming)
                try await Task.sleep(for: .seconds(15))
                try await Network.heal(.asmA)
                try await Task.sleep(for: .seconds(3))
            }
        }

        @Test("F08: an ASM Service's database connections are reset", .timeLimit(.minutes(4)))
        func f08() async throws {
            try await runRow(
                "F08", injected: "every packet between asm-a and the databases is answered with RST for 8 s",
                expected: "gap ≤ 2 s; 0 lost, 0 doubled, 0 reconnects", Expectation(gap: .seconds(2))
            ) { _, row in
                row.inject()
                try await Network.cut(.asmA, from: Host.databases, .reset)
                try await Task.sleep(for: .seconds(8))
                try await Network.heal(.asmA)
                try await Task.sleep(for: .seconds(3))
            }
        }

        @Test("F09: a Web Service loses one ASM Service", .timeLimit(.minutes(4)))
        func f09() async throws {
            try await runRow(
                "F09", injected: "packets between web-1 and asm-a are dropped for 10 s",
                expected: "gap ≤ 6 s; connected again ≤ 2 s after it is over; 0 lost, 0 reconnects",
                Expectation(gap: .seconds(6))
            ) { site, row in
                row.inject()
                try await Network.cut(.web1, from: [.asmA])
                try await Task.sleep(for: .seconds(10))
                try await Network.heal(.web1)
                let healed = ContinuousClock.now
                try await Deployment.untilReady(site.webs[0], servers: 2)
                let took = (ContinuousClock.now - healed).wholeMilliseconds
                row.note("connected again after \(took) ms")
                row.check("connecting again", took, atMost: .seconds(2))
                try await Task.sleep(for: .seconds(2))
            }
        }

        @Test("F03: statements are cut in the middle, and the ASM Service dies", .timeLimit(.minutes(4)))
        func f03() async throws {
            try await runRow(
                "F03",
                injected:
                    "asm-a's statements to the database are cut in the middle (chaos proxy), then it is killed; four times",
                expected: "what was cut is not stored, its repeat is: 0 lost, 0 doubled; gap ≤ 7 s",
                Expectation(gap: .seconds(7))
            ) { site, row in
                let weather = Weather()
                var proxies: [ChaosProxy] = []
                for host in Host.databases {
                    proxies.append(
                        try await ChaosProxy(on: Host.bridge, to: host.address, target: 5_432) {
                            weather.traffic()
                        })
                }
                let (server, other) = (site.services[0], site.services[1])
                let addresses = proxies.map { "\(Host.bridge):\($0.port)" }
                try await server.kill()
                server.live(database: DatabaseCluster.url(DatabaseCluster.name, at: addresses))
                try await server.startServing()
                try await site.untilServing()
                for _ in 1...4 {
                    // Everybody's session goes to the one that is to die.
                    try await other.kill()
                    try await other.startServing()
                    try await site.untilServing()
                    let before = weather.cuts.value
                    row.inject()
                    weather.turn(.cutAfterRequest(bytes: Int.random(in: 1...900)))
                    try await weather.cuts.until("statements should be cut") { $0 > before ? true : nil }
                    try await server.kill()
                    weather.turn(.fair)
                    try await server.startServing()
                    try await site.untilServing()
                }
                row.note("\(weather.cuts.value) statements were cut")
                try await server.kill()
                server.live()
                try await server.startServing()
                try await site.untilServing()
                withExtendedLifetime(proxies) {}
            }
        }

        @Test("F11: an ASM Service is cut off from all but the Web Services", .timeLimit(.minutes(4)))
        func f11() async throws {
            try await runRow(
                "F11", injected: "asm-a reaches nobody but web-1 and web-2 for 25 s",
                expected: "it refuses by itself; gap ≤ 15 s; 0 lost, 0 reconnects",
                Expectation(gap: .seconds(15))
            ) { _, row in
                row.inject()
                let others = Host.allCases.filter { ![.asmA, .web1, .web2].contains($0) }
                try await Network.cut(.asmA, from: others)
                try await Task.sleep(for: .seconds(25))
                try await Network.heal(.asmA)
                try await Task.sleep(for: .seconds(3))
            }
        }
    }
}
