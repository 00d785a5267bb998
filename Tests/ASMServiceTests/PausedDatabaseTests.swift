import Domain
import Foundation
import Glibc
import PostgresDatabase
import SQLDatabase
import ServiceLink
import Store
import TestSupport
import Testing

@Suite("A database that stands still")
struct PausedDatabaseTests {
    @Test("Requests are refused as unavailable, and the repeat of one is stored once when it goes on")
    func paused() async throws {
        var limits = PostgresLimits()
        limits.statementDeadline = .seconds(1)
        let postgres = try PostgresServer()
        try await withCluster(on: postgres, limits: limits) { test, connect in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server(on: connect()))
            let token = try await web.logIn("alice")
            let bob = try await web.session("bob")
            _ = try await web.post("before", in: thread, token: token)
            let processes = try await serverProcesses(test.store.database)

            for process in processes { _ = kill(process, SIGSTOP) }
            let id = ClientID.random()
            let error = await #expect(throws: Refusal.self) {
                try await web.post("during", in: thread, token: token, clientID: id, deadline: .seconds(3))
            }
            for process in processes { _ = kill(process, SIGCONT) }

            #expect(error?.code == .unavailable)
            try await eventually("the repeat is accepted") {
                (try? await web.post("during", in: thread, token: token, clientID: id)) != nil
            }
            _ = try await web.post("after", in: thread, token: token)
            await bob.until(text: "after")
            #expect(bob.texts == ["before", "during", "after"])
            #expect(try await test.texts() == bob.texts)
        }
        postgres.stop()
    }

    /// The server's first process and all its children.
    private func serverProcesses(_ database: any SQLDatabase) async throws -> [Int32] {
        let backend = try await database.query("SELECT pg_backend_pid()::bigint")[0].int(0)
        let first = try parent(of: Int32(backend))
        let all = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }
        // A process that ended meanwhile has no parent to ask for.
        return [first] + all.filter { (try? parent(of: $0)) == first }
    }

    private func parent(of process: Int32) throws -> Int32 {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("PPid:") }
        return try #require(line?.split(separator: "\t").last.flatMap { Int32($0) })
    }
}
