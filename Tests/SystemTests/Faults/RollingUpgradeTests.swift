import Domain
import Foundation
import Glibc
import NIOCore
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Versions N and N+1 side by side", .serialized)
    struct RollingUpgradeTests {
        @Test(
            "N+1 says on the link what N does not", .timeLimit(.minutes(1)),
            arguments: [(Program.Version.current, false), (.next, true)])
        func versions(version: Program.Version, saysMore: Bool) async throws {
            let deployment = try await Deployment(services: 1, webs: 0, users: 1)
            try await deployment.services[0].drain()
            try await deployment.services[0].start(as: version)
            let heard = Watched<[UInt8]>([])
            let proxy = try await ChaosProxy(target: deployment.services[0].port) { Listening(heard) }

            let web = try await Program.asm([
                "web-service", "--server", proxy.address, "--listen", "127.0.0.1:0",
            ])
            try await Deployment.untilReady(Web(port: web.port()), servers: 1)

            let said = heard.value.firstRange(of: Array("said by the next version".utf8))
            #expect((said != nil) == saysMore, "\(String(decoding: heard.value, as: UTF8.self))")
        }

        @Test(
            "F46: all pairings of N and N+1 pass messages both ways, while servers are drained and killed",
            .timeLimit(.minutes(3)))
        func pairings() async throws {
            let deployment = try await Deployment(users: 4)
            // The second of each becomes N+1; the first works on, on a schema that it does not know.
            try await deployment.services[1].drain()
            try await deployment.services[1].start(as: .next)
            try await deployment.webServers[1].kill()
            try await deployment.webServers[1].start(as: .next)
            try await deployment.untilConnected(servers: 2)
            let people = try await [
                deployment.person(1, at: 0), deployment.person(2, at: 1), deployment.person(3, at: 0),
                deployment.person(4, at: 1),
            ]
            let talks = [
                try await Talk([people[0], people[1]], at: deployment.webs[0]),
                try await Talk(people, at: deployment.webs[1]),
            ]
            let record = Record()

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await Talk.load(talks, perSecond: 100, for: .seconds(12), in: record) }
                // Each server alone serves both versions of Web Services for a while.
                try await Task.sleep(for: .seconds(1))
                try await deployment.services[0].drain()
                try await Task.sleep(for: .seconds(1))
                try await deployment.services[0].start()
                try await deployment.untilConnected(servers: 2)
                try await deployment.services[1].kill()
                try await Task.sleep(for: .seconds(1))
                try await deployment.services[1].start(as: .next)
                try await deployment.untilConnected(servers: 2)
                try await tasks.waitForAll()
            }

            try await record.expectKept(talks, at: deployment.webs, deployment.report)
            #expect(record.acknowledged == 1_200, deployment.report)
            #expect(people.allSatisfy { $0.state.value.welcomes == 1 && $0.state.value.ends.isEmpty })
            for program in (deployment.services + deployment.webServers).map(\.current) {
                let said = program.progress.value.errorText
                #expect(!said.contains("closed by us"), "\(program.tail)")
            }
            #expect(try await deployment.webs[1].metric("asm_link_connections") == 2)
        }

        @Test(
            "F47: a migration killed half way leaves nothing, and the next start does all of it",
            .timeLimit(.minutes(2)))
        func killedMigration() async throws {
            let postgres = try PostgresServer.shared()
            let url = try await postgres.createDatabase()
            let name = String(url.split(separator: "/").last ?? "")
            _ = try await Program.run(["migrate", "--database", url])
            let migration = try await Program.asm(
                ["migrate", "--database", url], as: .next, environment: ["ASM_NEXT_SCHEMA": "slow"])
            try await Self.psql(
                postgres, name,
                """
                DO $$ BEGIN
                    FOR n IN 1..200 LOOP
                        PERFORM pg_stat_clear_snapshot();
                        IF EXISTS (SELECT 1 FROM pg_stat_activity
                                   WHERE datname = current_database() AND wait_event = 'PgSleep'
                                     AND pid <> pg_backend_pid() AND query LIKE '%next_first%') THEN RETURN; END IF;
                        PERFORM pg_sleep(0.05);
                    END LOOP;
                    RAISE 'the migration did not come to its middle';
                END $$
                """)

            try await migration.kill()

            let half = try await Self.psql(postgres, name, Self.schema)
            #expect(half == "no next_first, no next_second, version \(try await Self.known())")
            let again = try await Program.run(
                ["migrate", "--database", url], as: .next, environment: ["ASM_NEXT_SCHEMA": "slow"])
            #expect(again.exitStatus == 0 && again.outputText.contains("Applied"), "\(again.errorText)")
            let whole = try await Self.psql(postgres, name, Self.schema)
            #expect(whole == "next_first, next_second, version \(try await Self.known() + 1)")
        }

        @Test(
            "N serves on an expanded schema and refuses a contracted one, when it runs and when it starts",
            .timeLimit(.minutes(2)))
        func contracted() async throws {
            let deployment = try await Deployment(services: 0, webs: 0, users: 1)
            let health = Web(port: try LoopbackPort.free())
            let service = [
                "service", "--database", deployment.databaseURL, "--listen", "127.0.0.1:0",
            ]
            let old = try await Program.asm(
                service + ["--health", "127.0.0.1:\(health.port)"],
                environment: ["ASM_SCHEMA_CHECK_SECONDS": "0.2"])
            _ = try await old.port()

            _ = try await Program.run(
                ["migrate", "--database", deployment.databaseURL], as: .next)
            try await Task.sleep(for: .seconds(1))
            let expanded = try await health.call("GET", "/readyz")
            let second = try await Program.asm(service)
            _ = try await second.port()
            try await second.kill()
            _ = try await Program.run(
                ["migrate", "--database", deployment.databaseURL], as: .next,
                environment: ["ASM_NEXT_SCHEMA": "contract"])
            let refused = try await Self.answer(of: health, until: 503)

            #expect(expanded.status == 200)
            #expect(refused.body["status"].text == "degraded", "\(refused.body)")
            #expect(refused.body["reason"].text?.contains("newer than this asm knows") == true)
            try await expectFailure(service, saying: ["newer than this asm knows"])
            let new = try await Program.asm(service, as: .next, environment: ["ASM_NEXT_SCHEMA": "contract"])
            _ = try await new.port()
            try await new.kill()
            old.signal(SIGTERM)
            #expect(try await old.ended().exitStatus == 0)
        }

        private static func answer(of web: Web, until status: Int) async throws -> Web.Answer {
            for _ in 0..<200 {
                let answer = try await web.call("GET", "/readyz")
                if answer.status == status { return answer }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw Program.Failure(description: "\(web)/readyz did not become \(status)")
        }

        private static let schema = """
            SELECT CASE WHEN to_regclass('next_first') IS NULL THEN 'no ' ELSE '' END || 'next_first, '
                || CASE WHEN to_regclass('next_second') IS NULL THEN 'no ' ELSE '' END || 'next_second, version '
                || (SELECT max(number) FROM schema_version)
            """

        /// The newest schema of this version.
        private static func known() async throws -> Int {
            let url = try await PostgresServer.shared().createDatabase()
            let applied = try await Program.run(["migrate", "--database", url]).outputText
            return applied.split { !$0.isNumber }.compactMap { Int($0) }.max() ?? 0
        }

        @discardableResult
        private static func psql(_ postgres: PostgresServer, _ database: String, _ sql: String) async throws
            -> String
        {
            let program = try await Program(
                "psql", path: "/usr/bin/psql",
                [
                    "-h", "127.0.0.1", "-p", "\(postgres.port)", "-U", "postgres", "-d", database, "-At",
                    "-v",
                    "ON_ERROR_STOP=1", "-c", sql,
                ])
            let ended = try await program.ended()
            guard ended.exitStatus == 0 else { throw Program.Failure(description: ended.errorText) }
            return ended.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}

/// Keeps what servers say, and gives everything on.
private final class Listening: Traffic {
    private let heard: Watched<[UInt8]>

    init(_ heard: Watched<[UInt8]>) { self.heard = heard }

    func fromClient(_ bytes: ByteBuffer) -> Verdict { .forward([bytes]) }

    func fromServer(_ bytes: ByteBuffer) -> Verdict {
        heard.update { $0 += bytes.readableBytesView }
        return .forward([bytes])
    }
}
