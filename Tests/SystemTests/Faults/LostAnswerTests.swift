import Domain
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Answers that are lost, and requests that come more than once", .serialized)
    struct LostAnswerTests {
        /// Proxies that lose one answer stand before both ASM Services.
        private static func deployment(thief: AnswerThief, users: Int = 2) async throws -> (
            Deployment, [ChaosProxy]
        ) {
            var proxies: [ChaosProxy] = []
            let deployment = try await Deployment(users: users) { addresses in
                for address in addresses {
                    let port = Int(address.split(separator: ":").last ?? "") ?? 0
                    proxies.append(try await ChaosProxy(target: port) { thief.traffic() })
                }
                return proxies.map(\.address)
            }
            return (deployment, proxies)
        }

        @Test(
            "F02: committed, but the answer was lost: the repeat over another server is the same message",
            .timeLimit(.minutes(2)))
        func committedButAnswerLost() async throws {
            let thief = AnswerThief()
            let (deployment, proxies) = try await Self.deployment(thief: thief)
            let people = try await [deployment.person(1, at: 0), deployment.person(2, at: 1)]
            let talk = try await Talk(people, at: deployment.webs[0])
            let record = Record()

            for round in 1...3 {
                thief.arm()
                await people[round % 2].deliver("live \(round)", to: talk.thread, in: record)
                #expect(thief.stolen == round)
                try await deployment.untilConnected(servers: 2)
            }

            try await record.expectKept([talk], at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 3)
            #expect(
                people.allSatisfy {
                    $0.state.value.acknowledgements.count <= 2 && $0.state.value.ends.isEmpty
                })
            withExtendedLifetime(proxies) {}
        }

        @Test(
            "F02: over REST the answer that replaces the lost one says that it is a replay",
            .timeLimit(.minutes(2)))
        func restAnswerLost() async throws {
            let thief = AnswerThief()
            let (deployment, proxies) = try await Self.deployment(thief: thief)
            let author = try await deployment.logIn(1, at: 0)
            let reader = try await deployment.logIn(2, at: 1)
            let thread = try await deployment.webs[0].createThread([author, reader])

            thief.arm()
            let body = try await deployment.webs[0].ask(
                "POST", "/v1/threads/\(thread)/messages", as: author, key: .random(), ["text": "once"])

            #expect(thief.stolen == 1)
            #expect(body["replayed"] == .bool(true), deployment.report)
            let history = try await deployment.webs[1].history(of: thread, as: reader)
            let messages = history.filter { $0["kind"] == "message" }
            #expect(messages.map { $0["position"] } == [body["position"]])
            #expect(messages.map { $0["number"] } == [body["number"]])
            withExtendedLifetime(proxies) {}
        }

        @Test(
            "F40: eight parallel duplicates on two servers make one message and seven replays of it",
            .timeLimit(.minutes(2)))
        func parallelDuplicates() async throws {
            let deployment = try await Deployment(users: 2)
            let author = try await deployment.logIn(1, at: 0)
            let reader = try await deployment.logIn(2, at: 1)
            let thread = try await deployment.webs[0].createThread([author, reader])
            let rounds = 5

            for round in 1...rounds {
                let key = ClientID.random()
                let answers = try await withThrowingTaskGroup { tasks in
                    for copy in 0..<8 {
                        tasks.addTask {
                            try await deployment.webs[copy % 2].ask(
                                "POST", "/v1/threads/\(thread)/messages", as: author, key: key,
                                ["text": .string("round \(round)")])
                        }
                    }
                    return try await tasks.reduce(into: [JSON]()) { $0.append($1) }
                }

                #expect(answers.count { $0["replayed"] == .bool(false) } == 1)
                #expect(answers.count { $0["replayed"] == .bool(true) } == 7)
                #expect(Set(answers.map { $0["position"] }).count == 1)
                #expect(Set(answers.map { $0["number"] }) == [.number(Int64(round + 1))])
            }

            let history = try await deployment.webs[1].history(of: thread, as: reader)
            #expect(history.count { $0["kind"] == "message" } == rounds, deployment.report)
        }

        @Test(
            "F41: an id used again for another text or thread is refused, and nothing is stored",
            .timeLimit(.minutes(2)))
        func keyReused() async throws {
            let deployment = try await Deployment(users: 2)
            let author = try await deployment.logIn(1, at: 0)
            let reader = try await deployment.logIn(2, at: 1)
            let thread = try await deployment.webs[0].createThread([author, reader])
            let other = try await deployment.webs[0].createThread([author, reader])
            let key = ClientID.random()
            let path = "/v1/threads/\(thread)/messages"
            let first = try await deployment.webs[0].ask("POST", path, as: author, key: key, ["text": "one"])

            let otherText = try await deployment.webs[1].call(
                "POST", path, as: author, key: key, ["text": "two"])
            let otherThread = try await deployment.webs[1].call(
                "POST", "/v1/threads/\(other)/messages", as: author, key: key, ["text": "one"])
            let same = try await deployment.webs[1].ask("POST", path, as: author, key: key, ["text": "one"])

            for answer in [otherText, otherThread] {
                #expect(answer.status == 422)
                #expect(answer.body["error"]["code"] == "key-reused")
            }
            #expect(same["replayed"] == .bool(true) && same["position"] == first["position"])
            let texts = try await deployment.webs[1].history(of: thread, as: reader).compactMap {
                $0["text"].text
            }
            #expect(texts == ["one"])
            let others = try await deployment.webs[1].history(of: other, as: reader)
            #expect(others.allSatisfy { $0["kind"] != "message" })
        }
    }
}
