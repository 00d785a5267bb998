import Domain
import ServiceLink
import Store
import Synchronization
import TestSupport
import Testing

@testable import ASMService

@Suite("Admission of requests")
struct AdmissionTests {
    /// Jobs that are started run until they are let go.
    private final class Jobs: Sendable {
        private let started = Mutex<[(name: String, gate: AsyncStream<Void>.Continuation)]>([])

        var names: [String] { started.withLock { $0.map(\.name) } }

        func job(_ name: String) -> FairQueue.Job {
            let (stream, gate) = AsyncStream.makeStream(of: Void.self)
            return { [self] in
                started.withLock { $0.append((name, gate)) }
                for await _ in stream {}
            }
        }

        /// Lets one end.
        func end(_ name: String) {
            started.withLock { started in
                started.filter { $0.name == name }.forEach { $0.gate.finish() }
            }
        }

        func untilStarted(_ count: Int) async throws {
            try await eventually("\(count) jobs are started") { self.names.count == count }
        }
    }

    private func withQueue(
        _ places: FairQueue.Places, _ limits: AdmissionLimits = AdmissionLimits(),
        _ body: (FairQueue, Jobs) async throws -> Void
    ) async throws {
        let work = BackgroundWork()
        let queue = FairQueue(places, limits) { work.start($0) }
        let jobs = Jobs()
        async let running: Void = work.run()
        var failure: (any Error)?
        do { try await body(queue, jobs) } catch { failure = error }
        for name in jobs.names { jobs.end(name) }
        try await eventually("everything has ended") {
            for name in jobs.names { jobs.end(name) }
            return queue.inHand == 0
        }
        work.finish()
        await running
        if let failure { throw failure }
    }

    private func asker(_ customer: Int64, user: Int64 = 0, session: Int64 = 0) -> FairQueue.Asker {
        .init(
            customer: .init(rawValue: customer), user: .init(rawValue: customer * 1_000 + user),
            session: customer * 1_000_000 + user * 1_000 + session)
    }

    @Test("One customer never has every place, and the other's request starts at once")
    func aPlaceIsFree() async throws {
        try await withQueue(.init(all: 4, ofCustomer: 3)) { queue, jobs in
            for index in 0..<8 { _ = queue.submit(asker(1, user: Int64(index)), jobs.job("loud")) }
            try await jobs.untilStarted(3)

            #expect(queue.submit(asker(2), jobs.job("quiet")))

            try await jobs.untilStarted(4)
            #expect(jobs.names == ["loud", "loud", "loud", "quiet"])
        }
    }

    @Test("When all places are taken, customers take turns however many of one wait")
    func turns() async throws {
        try await withQueue(.init(all: 1, ofCustomer: 1)) { queue, jobs in
            _ = queue.submit(asker(1), jobs.job("0"))
            try await jobs.untilStarted(1)
            for index in 1...3 { _ = queue.submit(asker(1, user: Int64(index)), jobs.job("a\(index)")) }
            for index in 1...2 { _ = queue.submit(asker(2, user: Int64(index)), jobs.job("b\(index)")) }
            _ = queue.submit(asker(3), jobs.job("c1"))

            var order = ["0"]
            for count in 2...7 {
                jobs.end(order[count - 2])
                try await jobs.untilStarted(count)
                order = jobs.names
            }

            #expect(order == ["0", "a1", "b1", "c1", "a2", "b2", "a3"])
        }
    }

    @Test("A session, a user and a customer have so many in hand, and no more until some are answered")
    func inHand() async throws {
        var limits = AdmissionLimits()
        (limits.sessionRequests, limits.userRequests, limits.customerRequests) = (2, 3, 5)
        try await withQueue(.init(all: 1, ofCustomer: 1), limits) { queue, jobs in
            func submit(_ user: Int64, _ session: Int64, of customer: Int64 = 1) -> Bool {
                queue.submit(asker(customer, user: user, session: session), jobs.job("\(user).\(session)"))
            }

            #expect([submit(1, 1), submit(1, 1), submit(1, 1)] == [true, true, false])
            #expect([submit(1, 2), submit(1, 2)] == [true, false])
            #expect([submit(2, 1), submit(2, 2), submit(3, 1)] == [true, true, false])
            #expect(submit(1, 1, of: 2))

            try await jobs.untilStarted(1)
            jobs.end("1.1")
            try await eventually("its place is free") { submit(3, 1) }
        }
    }

    @Test("A bucket gives its burst, then its rate, and says how long to wait")
    func buckets() {
        let buckets = TokenBuckets<Int>(Rate(perSecond: 10, burst: 5), remembered: 100)
        let now = ContinuousClock.now

        #expect((0..<5).allSatisfy { _ in buckets.take(1, at: now) == nil })
        let wait = buckets.take(1, at: now)
        #expect(wait.map { $0 > .milliseconds(90) && $0 <= .milliseconds(101) } == true)
        #expect(buckets.take(2, at: now) == nil, "another's are its own")
        #expect(buckets.take(1, at: now + .milliseconds(150)) == nil)
        #expect(buckets.take(1, at: now + .milliseconds(150)) != nil)
        #expect((0..<5).allSatisfy { _ in buckets.take(1, at: now + .seconds(60)) == nil })
        #expect(buckets.take(1, at: now + .seconds(60)) != nil)
        buckets.giveBack(1)
        #expect(buckets.take(1, at: now + .seconds(60)) == nil)
    }

    @Test("Of very many, those are forgotten that have their whole burst again")
    func forgetful() {
        let buckets = TokenBuckets<Int>(Rate(perSecond: 1, burst: 2), remembered: 10)
        let now = ContinuousClock.now
        for key in 0..<10 { _ = buckets.take(key, at: now) }
        let later = now + .seconds(5)
        for _ in 0..<2 { _ = buckets.take(3, at: later) }

        _ = buckets.take(11, at: later)

        #expect(buckets.take(3, at: later) != nil, "what it has used up stays used up")
    }

    @Test(
        "An address is counted as it is, of IPv6 as its network",
        arguments: [
            ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:0db8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8::1", "2001:db8:0:0::/64"), ("fe80::1%eth0", "fe80:0:0:0::/64"),
            ("::1", "0:0:0:0::/64"),
            ("", ""),
        ])
    func networks(_ address: String, _ network: String) {
        #expect(LogInTurns.network(of: address) == network)
    }

    @Test("Who guesses is refused after a burst; right passwords of that address cost nothing")
    func guesses() async throws {
        var limits = AdmissionLimits()
        limits.failedLogIns = Rate(perSecond: 0.001, burst: 3)
        let turns = LogInTurns(limits)
        let wrong = Refusal(.badCredentials, "wrong")
        func attempt(_ address: String, isRight: Bool) async -> Refusal.Code? {
            do {
                try await turns.pass(address) { if !isRight { throw wrong } }
                return nil
            } catch { return (error as? Refusal)?.code }
        }

        for _ in 0..<50 { #expect(await attempt("192.0.2.1", isRight: true) == nil) }
        for _ in 0..<3 { #expect(await attempt("192.0.2.1", isRight: false) == .badCredentials) }
        #expect(await attempt("192.0.2.1", isRight: false) == .tooManyRequests)
        #expect(await attempt("192.0.2.2", isRight: true) == nil)
    }
}

@Suite("Admission, over the link", .serialized)
struct AdmittedRequestsTests {
    @Test("A user who sends faster than allowed is told when to go on, and another is not concerned")
    func sends() async throws {
        var limits = AdmissionLimits()
        limits.sends = Rate(perSecond: 0.1, burst: 3)
        try await withService(on: .sqlite) { test in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server(admission: limits))
            let alice = try await web.logIn("alice")
            for index in 0..<3 { _ = try await web.post("\(index)", in: thread, token: alice) }

            let error = await #expect(throws: Refusal.self) {
                try await web.post("too much", in: thread, token: alice)
            }

            #expect(error?.code == .tooManyRequests)
            #expect((error?.retryAfterMilliseconds ?? 0) > 5_000)
            _ = try await web.post("bob's", in: thread, token: try await web.logIn("bob"))
            #expect(try await test.texts() == ["0", "1", "2", "bob's"])
        }
    }

    @Test("Live connections of one log-in are limited, and one that closes makes room")
    func connections() async throws {
        var limits = AdmissionLimits()
        limits.sessionConnections = 2
        try await withService(on: .sqlite) { test in
            let web = try test.web(try await test.server(admission: limits))
            let token = try await web.logIn("alice")
            let first = await web.attach(token)
            _ = await web.attach(token)
            let sink = TestSession.Sink()
            let third = web.pool.open(token: token, cursor: nil, sink: sink)
            _ = await web.attach(try await web.logIn("alice"))
            #expect(sink.events.value.isEmpty)

            first.link.close()

            await sink.events.until { !$0.isEmpty }
            third.close()
        }
    }
}
