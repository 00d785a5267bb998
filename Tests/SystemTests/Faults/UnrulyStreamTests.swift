import ASMClient
import Domain
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Streams that come doubled, swapped, with holes, or are not read", .serialized)
    struct UnrulyStreamTests {
        /// What a client showed of a thread.
        private struct Shown {
            var numbers: [Int64] = []
            var missing = 0
        }

        @Test(
            "F42: each entry is shown once and in order though frames come doubled, swapped or not at all",
            .timeLimit(.minutes(2)))
        func unrulyFrames() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let shuffler = FrameShuffler()
            let proxy = try await ChaosProxy(target: deployment.webs[0].port) { shuffler.traffic() }
            let author = try await deployment.person(1, at: 0)
            let second = try await deployment.person(2, at: 0)
            let talk = try await Talk([author, second], at: deployment.webs[0])
            let client = try MessagingClient(
                configuration: ClientConfiguration(addresses: [Web(port: proxy.port).address()]),
                token: try await deployment.logIn(2, at: 0).token.open)
            let messages = 60
            let record = Record()

            let shown = await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await client.run() }
                var events = client.events.makeAsyncIterator()
                while let event = await events.next() {
                    if case .connected = event { break }
                }
                shuffler.turn(on: true)
                for number in 1...messages { await author.deliver("\(number)", to: talk.thread, in: record) }
                shuffler.turn(on: false)
                await author.deliver("last", to: talk.thread, in: record)
                var shown = Shown()
                while shown.numbers.last != Int64(messages + 2), let event = await events.next() {
                    if case .entries(let entries) = event { shown.numbers += entries.map(\.number) }
                    if case .missing = event { shown.missing += 1 }
                }
                tasks.cancelAll()
                return shown
            }

            let counts = shuffler.counts
            #expect(counts.doubled > 5 && counts.swapped > 2 && counts.dropped > 2, "\(counts)")
            #expect(shown.missing == 0)
            #expect(shown.numbers == Array(2...Int64(messages + 2)), deployment.report)
            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            withExtendedLifetime(proxy) {}
        }

        @Test(
            "a connection lost right after its welcome loses nothing of what was missed",
            .timeLimit(.minutes(2)))
        func lostAfterWelcome() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 2)
            let proxy = try await ChaosProxy(target: deployment.webs[0].port) { WelcomeOnly() }
            let author = try await deployment.person(1, at: 0)
            let reader = try await deployment.person(2, at: 0)
            let talk = try await Talk([author, reader], at: deployment.webs[0])
            let record = Record()
            await author.deliver("seen", to: talk.thread, in: record)
            try await reader.untilSeen(1)

            try await reader.disconnect()
            for round in 1...5 { await author.deliver("missed \(round)", to: talk.thread, in: record) }
            try await reader.connect(to: Web(port: proxy.port))
            try await reader.disconnect()
            try await reader.connect(to: deployment.webs[0])

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(reader.state.value.resyncs == 0 && record.acknowledged == 6)
            withExtendedLifetime(proxy) {}
        }

        @Test(
            "F43: fifty clients that hardly read cost little memory and hold nobody up",
            .timeLimit(.minutes(3)))
        func slowReaders() async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 3)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 0)]
            let slow = try await deployment.logIn(3, at: 0)
            let group = try await Talk(people + [Person(slow)], at: deployment.webs[0])
            let pair = try await Talk(people, at: deployment.webs[0])
            let record = Record()
            let web = deployment.webServers[0].current
            await people[0].deliver("warm", to: pair.thread, in: record)
            let readers = try await SlowReaders(count: 50, at: deployment.webs[0], as: slow)
            let before = try web.residentBytes()

            let start = ContinuousClock.now
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await readers.trickle(for: .seconds(8)) }
                // Short ones are copied for each reader, long ones are shared: both must be bounded.
                tasks.addTask { await group.flood(count: 1_200, bytes: 3_500, lanes: 20, in: record) }
                tasks.addTask { await group.flood(count: 120, bytes: 48_000, lanes: 2, in: record) }
                for _ in 0..<20 {
                    let sent = ContinuousClock.now
                    await people[1].deliver("meanwhile", to: pair.thread, in: record)
                    #expect(ContinuousClock.now - sent < .seconds(3))
                    try await Task.sleep(for: .milliseconds(200))
                }
                try await tasks.waitForAll()
            }
            let growth = try web.residentBytes() - before
            let ends = try await readers.drain()

            #expect(growth < 120 << 20, "grew by \(growth >> 20) MiB in \(ContinuousClock.now - start)")
            #expect(ends.allSatisfy { $0 == .resync || $0 == .closed(code: 1_013) }, "\(ends)")
            let talks = [Talk(thread: group.thread, people: people), pair]
            try await record.expectKept(talks, at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 1 + 1_320 + 20)
            #expect(people.allSatisfy { $0.state.value.resyncs == 0 && $0.state.value.ends.isEmpty })
        }
    }
}

extension Talk {
    /// So many messages of one size from the first, `lanes` of them on their way at a time.
    fileprivate func flood(count: Int, bytes: Int, lanes: Int, in record: Record) async {
        let text = String(repeating: "x", count: bytes)
        await withDiscardingTaskGroup { tasks in
            for lane in 0..<lanes {
                tasks.addTask {
                    for _ in stride(from: lane, to: count, by: lanes) {
                        await people[0].deliver(text, to: thread, in: record)
                    }
                }
            }
        }
    }
}
