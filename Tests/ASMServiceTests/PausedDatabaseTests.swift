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

    @Test("A message whose outcome is not known is not overtaken by later ones of its session")
    func keepsTheOrder() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            let web = try test.web(try await test.server(on: connect()))
            let alice = try await web.session("alice")
            let bob = try await web.session("bob")
            let other = try connect()
            let isHeld = Watched(false)
            let customer = test.customer.id.rawValue
            // Longer than `lock_timeout`, so that the first append fails; shorter than two of them.
            async let holder: Void = other.write { session in
                try session.run("SELECT 1 FROM log_head WHERE customer_id = \(customer) FOR UPDATE")
                isHeld.change { $0 = true }
                try session.run("SELECT pg_sleep(4)")
            }
            await isHeld.until { $0 }

            let answered = Watched(0)
            for number in 1...20 {
                let message = LinkSendMessage("\(number)", in: thread, .random())
                alice.link.send(message) { result in
                    if case .success = result { answered.change { $0 += 1 } }
                }
                // The first one is in a batch of its own, which waits for the lock, before the others come.
                if number == 1 { try await untilSomebodyWaits(test.store.database) }
            }
            try await holder
            await answered.until { $0 == 20 }

            await bob.until(text: "20")
            #expect(bob.texts == (1...20).map { "\($0)" })
        }
    }

    private func untilSomebodyWaits(_ database: any SQLDatabase) async throws {
        let waiting: SQL = """
            SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        try await eventually("an append waits for the lock") {
            (try? await database.query(waiting).isEmpty) == false
        }
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
