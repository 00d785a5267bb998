import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Load balancers as they come", .serialized)
    struct BalancerTests {
        private static func withDoor(
            _ kind: FrontDoor.Kind, _ body: (FrontDoor, Deployment) async throws -> Void
        ) async throws {
            let deployment = try await Deployment(services: 1, webs: 0, users: 1)
            var webs: [Server] = []
            for _ in 0..<2 {
                webs.append(
                    try await Server([
                        "web-service", "--server", deployment.services[0].address, "--trusted-proxies",
                        "127.0.0.1",
                    ]))
            }
            for web in webs { try await Deployment.untilReady(Web(port: web.port), servers: 1) }
            try await withTemporaryFolder { folder in
                let door = try await FrontDoor(kind, before: webs.map(\.port), folder: folder)
                try await untilServing(door)
                do {
                    try await body(door, deployment)
                } catch {
                    throw Program.Failure(description: "\(error)\n\(door.process.tail)")
                }
                try await door.process.kill()
            }
        }

        private static func untilServing(_ door: FrontDoor) async throws {
            let end = ContinuousClock.now + .seconds(20)
            while try await status(["/healthz"], through: door).first != "200" {
                guard ContinuousClock.now < end else {
                    throw NotInTime(what: "\(door.url) should serve", limit: .seconds(20))
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }

        /// The status of each path, asked as it is written.
        private static func status(_ paths: [String], through door: FrontDoor) async throws -> [String] {
            let arguments = [
                "-sk", "--path-as-is", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}\\n",
            ]
            let curl = try await Program(
                "curl", path: "/usr/bin/curl",
                paths.enumerated().flatMap { ($0 > 0 ? ["--next"] : []) + arguments + [door.url + $1] })
            let ended = try await curl.ended(within: .seconds(60))
            return ended.outputText.split(separator: "\n").map { String($0) }
        }

        @Test(
            "F8: a page in a real browser is live at its first attempt, at each of five loads",
            .timeLimit(.minutes(3)), arguments: FrontDoor.Kind.allCases)
        func live(kind: FrontDoor.Kind) async throws {
            try await Self.withDoor(kind) { door, deployment in
                let browser = try await BrowserTests.browse(
                    "live.py",
                    ["--web", door.url, "--login", "user1", "--password-file", deployment.passwordFile])

                let ended = try await browser.ended(within: .seconds(120))

                #expect(ended.exitStatus == 0, Comment(rawValue: browser.tail + "\n\(deployment.report)"))
            }
        }

        @Test(
            "the figures cannot be had through the configurations of deploy/, in whatever form they are asked for",
            .timeLimit(.minutes(2)), arguments: [FrontDoor.Kind.haproxyShipped, .nginxShipped])
        func hidesMetrics(kind: FrontDoor.Kind) async throws {
            try await Self.withDoor(kind) { door, _ in
                let paths = [
                    "/metrics", "//metrics", "/metrics/", "///metrics//", "/metrics?", "/metrics?a=b",
                    "/%6detrics",
                    "/%6Detrics", "/metric%73", "/./metrics", "/x/../metrics", "/metrics/.",
                    "/metrics/..;/metrics",
                    "/metrics;a=b", "/metrics%20", "/metrics%2f", "/metrics%00", "/v1/../metrics", "/METRICS",
                ]

                let found = try await Self.status(paths, through: door)

                #expect(found.count == paths.count)
                for (path, status) in zip(paths, found) {
                    #expect(["400", "404"].contains(status), "\(path) is answered \(status)")
                }
                #expect(
                    try await Self.status(["/", "/app.css", "/healthz"], through: door) == [
                        "200", "200", "200",
                    ])
            }
        }
    }
}
