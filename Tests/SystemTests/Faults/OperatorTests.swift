import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What operators set and ask", .serialized)
    struct OperatorTests {
        private static func webConfig(_ settings: String, in folder: String) throws -> String {
            let path = folder + "/web.config"
            try "<configuration>\n<appSettings>\n\(settings)\n</appSettings>\n</configuration>\n"
                .write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }

        /// What `/readyz` says, as soon as anything answers there.
        private static func readiness(_ web: Web, until isGood: (Web.Answer) -> Bool = { _ in true })
            async throws
            -> Web.Answer
        {
            let end = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < end {
                // Not answering yet is what is waited for.
                if let answer = try? await web.call("GET", "/readyz"), isGood(answer) { return answer }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw Program.Failure(description: "\(web)/readyz did not say what it should")
        }

        @Test(
            "the Server list is taken from the option, else the environment, else our file, else web.config",
            .timeLimit(.minutes(2)))
        func precedence() async throws {
            try await withTemporaryFolder { folder in
                // Nobody listens at these ports: the log says which of them was tried, `/readyz` does not.
                let config = try Self.webConfig(#"<add key="server" value="127.0.0.1:4" />"#, in: folder)
                let file = folder + "/asm.json"
                let sources: [(arguments: [String], environment: [String: String], file: String)] = [
                    (
                        ["--server", "127.0.0.1:1"], ["ASM_SERVER": "127.0.0.1:2"],
                        #""server": "127.0.0.1:3","#
                    ),
                    ([], ["ASM_SERVER": "127.0.0.1:2"], #""server": "127.0.0.1:3","#),
                    ([], [:], #""server": "127.0.0.1:3","#),
                    ([], [:], ""),
                ]
                for (index, source) in sources.enumerated() {
                    try #"{\#(source.file) "web": {"config": "\#(config)"}}"#
                        .write(toFile: file, atomically: true, encoding: .utf8)
                    let program = try await Program.asm(
                        ["web-service", "--listen", "127.0.0.1:0", "--config", file] + source.arguments,
                        environment: source.environment)
                    let answer = try await Self.readiness(Web(port: try await program.port()))
                    let said = try await program.progress.until("the log should say who was tried") {
                        $0.errorText.contains("ASM Service cannot be reached") ? $0.errorText : nil
                    }

                    #expect(answer.status == 503)
                    #expect(!"\(answer.body)".contains("127.0.0.1:"), "\(answer.body)")
                    #expect(said.contains("link.server=127.0.0.1:\(index + 1) "), "\(said)")
                    try await program.kill()
                }
            }
        }

        @Test(
            "a web.config with a host that nobody knows and a server that is down serves with the one that is up",
            .timeLimit(.minutes(2)))
        func unknownHosts() async throws {
            let deployment = try await Deployment(services: 1, webs: 0, users: 2)
            let dead = try LoopbackPort.free()
            try await withTemporaryFolder { folder in
                let config = try Self.webConfig(
                    """
                    <add key="Server" value="no-such-host.invalid:7400, [::1]:\(dead), \(deployment.services[0].address)" />
                    <add key="Port" value="7400" />
                    """, in: folder)
                let program = try await Program.asm([
                    "web-service", "--listen", "127.0.0.1:0", "--web-config", config, "--allow-plain-link",
                ])
                let web = Web(port: try await program.port())
                _ = try await Self.readiness(web) { $0.status == 200 }

                let logins = try await [
                    web.logIn("user1", password: Deployment.password),
                    web.logIn("user2", password: Deployment.password),
                ]
                let begin = ContinuousClock.now
                for _ in 0..<20 { _ = try await web.createThread(logins) }

                #expect(ContinuousClock.now - begin < .seconds(5))
                let said = program.progress.value.errorText
                #expect(said.contains("ends at line 4") && said.contains("ServerA:PortA"), "\(said)")
                try await program.kill()
            }
        }

        @Test(
            "trusted proxies are taken from the option, the environment and the file, and refused when they are none",
            .timeLimit(.minutes(1)))
        func trustedProxies() async throws {
            try await withTemporaryFolder { folder in
                let start = ["web-service", "--listen", "127.0.0.1:0", "--server", "127.0.0.1:1"]
                try await expectFailure(
                    start + ["--trusted-proxies", "10.0.0.0/8"], saying: ["‘10.0.0.0/8’"])
                let program = try await Program.asm(
                    start, environment: ["ASM_TRUSTED_PROXIES": "lb1.example"])
                let ended = try await program.ended()
                #expect(
                    ended.exitStatus != 0 && ended.errorText.contains("‘lb1.example’"), "\(ended.errorText)")
                let file = folder + "/asm.json"
                for value in [#""10.0.0.21,lb2""#, #"["10.0.0.21", "lb2"]"#] {
                    try #"{"trustedProxies": \#(value)}"#.write(
                        toFile: file, atomically: true, encoding: .utf8)
                    try await expectFailure(
                        start + ["--config", file],
                        saying: ["--trusted-proxies", "‘lb2’", "10.0.0.21,10.0.0.22"])
                }
            }
        }

        @Test("a web.config that cannot be used is refused with what to do", .timeLimit(.minutes(1)))
        func badWebConfig() async throws {
            try await withTemporaryFolder { folder in
                let start = ["web-service", "--listen", "127.0.0.1:0", "--web-config"]
                try await expectFailure(start + [folder + "/absent"], saying: ["absent", "--server"])
                let empty = try Self.webConfig("", in: folder)
                try await expectFailure(start + [empty], saying: ["has no key Server", "ServerA:PortA"])
                let old = try Self.webConfig(
                    #"<add key="Server" value="ServerA" /><add key="Port" value="7400" />"#, in: folder)
                try await expectFailure(start + [old], saying: ["line 3", "ServerA", "key Port (7400)"])
                try await expectFailure(
                    ["admin-web", "--web-config", old, "--server", "127.0.0.1:1"], saying: ["line 3"])
            }
        }

        @Test(
            "the Admin Web runs by itself, connects, and tells strangers nothing of the cluster",
            .timeLimit(.minutes(2)))
        func adminWeb() async throws {
            let deployment = try await Deployment(services: 1, webs: 0, users: 1)
            let address = deployment.services[0].address
            try await withTemporaryFolder { folder in
                let config = try Self.webConfig(
                    "<add key=\"Servers\" value=\"\(address)\" />\n<add key=\"channel\" value=\"tcp\" />",
                    in: folder)
                let program = try await Program.asm([
                    "admin-web", "--listen", "127.0.0.1:0", "--web-config", config, "--drain-delay", "0",
                ])
                let web = Web(port: try await program.port())
                _ = try await Self.readiness(web) { $0.status == 200 }
                let page = try await web.call("GET", "/")
                let metrics = try await web.call("GET", "/metrics")
                #expect(page.status == 200 && page.body.text?.contains("later version") == true)
                #expect(metrics.body.text?.contains("asm_link_connections 1") == true)
                #expect(program.progress.value.errorText.contains("ends at line 4"))

                try await deployment.services[0].kill()
                let down = try await Self.readiness(web) { $0.status == 503 }
                for answer in [page, metrics, down] {
                    #expect(!"\(answer.body)".contains(address), "\(answer.body)")
                }
                program.signal(SIGTERM)
                #expect(try await program.ended().exitStatus == 0)
            }
        }

        @Test(
            "an ASM Service says at /readyz that it serves, and why it does not", .timeLimit(.minutes(2)))
        func serviceHealth() async throws {
            let deployment = try await Deployment(services: 0, webs: 0, users: 1)
            let health = Web(port: try LoopbackPort.free())
            let program = try await Program.asm([
                "service", "--database", deployment.databaseURL, "--listen", "127.0.0.1:0", "--health",
                "127.0.0.1:\(health.port)",
            ])
            _ = try await program.port()
            _ = try await Self.readiness(health) { $0.status == 200 }
            let metrics = try await health.call("GET", "/metrics")
            #expect(metrics.body.text?.contains("asm_link_server_connections") == true)

            try deployment.postgres.execute(
                "UPDATE server SET boot = decode('00112233445566778899aabbccddeeff', 'hex')",
                database: deployment.databaseName)
            let refused = try await Self.readiness(health) { $0.status == 503 }

            #expect(refused.body["status"].text == "degraded")
            #expect(refused.body["reason"].text?.contains("took over") == true, "\(refused.body)")
            let alive = try await health.call("GET", "/healthz")
            #expect(alive.status == 200)
            program.signal(SIGTERM)
            #expect(try await program.ended().exitStatus == 0)
        }

        @Test(
            "after SIGTERM a Web Service says 503 at /readyz and serves on; a second signal ends it at once",
            .timeLimit(.minutes(2)))
        func drainDelay() async throws {
            let deployment = try await Deployment(services: 1, webs: 0, users: 2)
            let program = try await Program.asm([
                "web-service", "--server", deployment.services[0].address, "--listen", "127.0.0.1:0",
                "--drain-delay", "120",
            ])
            let web = Web(port: try await program.port())
            _ = try await Self.readiness(web) { $0.status == 200 }
            let ann = Person(try await web.logIn("user1", password: Deployment.password))
            try await ann.connect(to: web)

            program.signal(SIGTERM)
            let leaving = try await Self.readiness(web) { $0.status == 503 }
            let bob = try await web.logIn("user2", password: Deployment.password)
            let late = Person(bob)
            try await late.connect(to: web)

            #expect("\(leaving.body)".contains("going"))
            #expect(ann.state.value.ends.isEmpty && ann.state.value.isWelcome)
            let begin = ContinuousClock.now
            program.signal(SIGTERM)
            #expect(try await program.ended().exitStatus == 128 + SIGTERM)
            #expect(ContinuousClock.now - begin < .seconds(5))
        }
    }
}
