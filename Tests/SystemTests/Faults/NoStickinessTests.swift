import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A load balancer without stickiness", .serialized)
    struct NoStickinessTests {
        private static let program = "/usr/sbin/haproxy"

        /// Every request, and every live connection, goes to the next server.
        private static func configuration(port: Int, webs: [Web]) -> String {
            let servers = webs.enumerated().map { "    server web\($0 + 1) 127.0.0.1:\($1.port)" }
            return """
                global
                    maxconn 200
                defaults
                    mode http
                    timeout connect 2s
                    timeout client 60s
                    timeout server 60s
                    timeout tunnel 1h
                frontend entry
                    bind 127.0.0.1:\(port)
                    default_backend webs
                backend webs
                    balance roundrobin
                    http-response set-header X-Web %s
                \(servers.joined(separator: "\n"))

                """
        }

        private static func withBalancer(
            before webs: [Web], _ body: (Web) async throws -> Void
        ) async throws {
            try #require(
                FileManager.default.isExecutableFile(atPath: program),
                "HAProxy is missing: `make test` installs it (Debian: haproxy).")
            try await withTemporaryFolder { folder in
                let balancer = Web(port: try LoopbackPort.free())
                let file = folder + "/haproxy.cfg"
                try configuration(port: balancer.port, webs: webs)
                    .write(toFile: file, atomically: true, encoding: .utf8)
                let process = try await Program("haproxy", path: program, ["-db", "-f", file])
                do {
                    try await Deployment.untilReady(balancer, servers: 1)
                    try await body(balancer)
                } catch {
                    throw Program.Failure(description: "\(error)\n\(process.tail)")
                }
                try await process.kill()
            }
        }

        @Test(
            "F38: a session's requests and its live connections may each go to another Web Service",
            .timeLimit(.minutes(2)))
        func noStickiness() async throws {
            let deployment = try await Deployment(users: 2)
            try await Self.withBalancer(before: deployment.webs) { balancer in
                let ann = try await balancer.logIn("user1", password: Deployment.password)
                let bob = try await balancer.logIn("user2", password: Deployment.password)
                let talk = try await Talk([Person(ann), Person(bob)], at: balancer)
                let record = Record()
                var servers: Set<String> = []

                for _ in 0..<10 {
                    let answer = try await balancer.call("GET", "/v1/me", as: ann)
                    #expect(answer.status == 200)
                    if let server = answer.server { servers.insert(server) }
                }
                for person in talk.people { try await person.connect(to: balancer) }
                for round in 0..<6 {
                    // Each time one of them comes back at the other server, from where it was.
                    let person = talk.people[round % 2]
                    try await person.disconnect()
                    await talk.people[(round + 1) % 2].deliver("while away", to: talk.thread, in: record)
                    try await person.connect(to: balancer)
                    await person.deliver("back", to: talk.thread, in: record)
                }

                #expect(servers == ["web1", "web2"])
                try await record.expectKept([talk], at: [balancer] + deployment.webs, deployment.report)
                #expect(record.acknowledged == 12)
                let live = try await deployment.webs.asyncMap {
                    try await $0.metric("asm_web_live_clients") ?? 0
                }
                #expect(live.reduce(0, +) == 2)
            }
        }

        @Test(
            "F38: the same Idempotency-Key over both Web Services makes one message", .timeLimit(.minutes(2)))
        func sameKeyOverBoth() async throws {
            let deployment = try await Deployment(users: 2)
            try await Self.withBalancer(before: deployment.webs) { balancer in
                let ann = try await balancer.logIn("user1", password: Deployment.password)
                let bob = try await balancer.logIn("user2", password: Deployment.password)
                let thread = try await balancer.createThread([ann, bob])
                let key = ClientID.random()
                var answers: [Web.Answer] = []

                for _ in 0..<4 {
                    answers.append(
                        try await balancer.call(
                            "POST", "/v1/threads/\(thread)/messages", as: ann, key: key, ["text": "once"]))
                }

                #expect(answers.map(\.status) == [201, 201, 201, 201])
                #expect(answers.map { $0.body["replayed"] == .bool(true) } == [false, true, true, true])
                #expect(Set(answers.map { $0.body["position"] }).count == 1)
                #expect(Set(answers.compactMap(\.server)).count == 2)
                let history = try await balancer.history(of: thread, as: bob)
                #expect(history.count { $0["kind"] == "message" } == 1)
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows
        -> [Result]
    {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
