import NIOCore
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A bad network between Web Services and ASM Services", .serialized)
    struct BadNetworkTests {
        @Test(
            "a link that is slow, cut in the middle of an answer, or silent loses and doubles nothing",
            .timeLimit(.minutes(2)))
        func badLink() async throws {
            let weather = Weather()
            var proxies: [ChaosProxy] = []
            let deployment = try await Deployment(users: 2) { addresses in
                // Only the way to the first is bad.
                let port = Int(addresses[0].split(separator: ":").last ?? "") ?? 0
                proxies.append(try await ChaosProxy(target: port) { weather.traffic() })
                return proxies.map(\.address) + addresses.dropFirst()
            }
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load([talk], perSecond: 100, for: .seconds(16), in: record) }
                weather.turn(.slow(.milliseconds(100)))
                try await Task.sleep(for: .seconds(2))
                for _ in 0..<3 {
                    weather.turn(.cutAfter(responseBytes: Int.random(in: 1...4_000)))
                    try await Task.sleep(for: .seconds(1))
                    weather.turn(.fair)
                    try await deployment.untilConnected(servers: 2)
                }
                weather.turn(.blackHole)
                try await Task.sleep(for: .seconds(7))
                weather.turn(.fair)
                try await tasks.waitForAll()
            }

            #expect(Record.longestSilence(of: people) <= .seconds(7))
            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 1_600, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
            withExtendedLifetime(proxies) {}
        }
    }
}
