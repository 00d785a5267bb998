import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    /// Server Inactive with times so short that ten minutes take six seconds.
    @Suite("Outages are told once, and only those of servers", .serialized)
    struct OutageTests {
        private static let longerThanInactive = Duration.seconds(9)

        @Test(
            "a server that dies is told once by whoever survives; the outage ends when it has been back for a while",
            .timeLimit(.minutes(2)))
        func oneDies() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let a = try await installation.service()
                let survivors = [try await installation.service(), try await installation.service()]

                try await a.kill()
                try await installation.until(a.address, is: "inactive")
                try await Task.sleep(for: Self.longerThanInactive)

                #expect(try await installation.events("Server Inactive") == 1)
                #expect(try await installation.events("Server Unreachable") == 1)
                #expect(try await installation.count("SELECT count(*) FROM incident") == 2)
                try await a.start()
                try await installation.until("the outage should end") {
                    try await installation.count("SELECT count(*) FROM incident WHERE closed_at IS NULL") == 0
                }
                #expect(try await installation.states() == ["active": 3])
                #expect(try await installation.events("Server Inactive") == 1)
                for server in survivors { try await server.kill() }
            }
        }

        @Test(
            "F51: an outage of the database that is longer than the limit is nobody's incident",
            .timeLimit(.minutes(2)))
        func databaseDown() async throws {
            try await withTemporaryFolder { folder in
                let postgres = try PostgresServer()
                let installation = try await Installation.new(on: postgres, folder: folder)
                let servers = [try await installation.service(), try await installation.service()]

                try postgres.kill()
                try await Task.sleep(for: Self.longerThanInactive)
                try postgres.start()
                for server in servers { try await installation.until(server.address, is: "active") }
                try await Task.sleep(for: Self.longerThanInactive)

                #expect(try await installation.incidents("inactive") == 0)
                #expect(try await installation.events("Server Inactive") == 0)
                for server in servers { try await server.kill() }
                postgres.stop()
            }
        }

        @Test(
            "F50: when all are down nobody tells; who comes back first tells once of the one that is still missing",
            .timeLimit(.minutes(2)))
        func allDown() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let (a, b) = (try await installation.service(), try await installation.service())

                for server in [a, b] { try await server.kill() }
                try await Task.sleep(for: Self.longerThanInactive)
                #expect(try await installation.incidents("inactive") == 0)
                try await b.start()

                try await installation.until(a.address, is: "inactive")
                try await Task.sleep(for: Self.longerThanInactive)
                #expect(try await installation.events("Server Inactive") == 1)
                #expect(try await installation.servers()[b.address]?["incidents"].list.isEmpty == true)
            }
        }

        @Test(
            "F52: a server that flaps is not inactive; dead for long and then flapping, it is one outage",
            .timeLimit(.minutes(3)))
        func flapping() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let (a, b) = (try await installation.service(), try await installation.service())
                func flap(times: Int) async throws {
                    for _ in 0..<times {
                        a.current.signal(SIGSTOP)
                        try await Task.sleep(for: .seconds(2.5))
                        a.current.signal(SIGCONT)
                        try await Task.sleep(for: .seconds(1.5))
                    }
                }
                try await flap(times: 4)
                #expect(try await installation.incidents("inactive") == 0)

                a.current.signal(SIGSTOP)
                try await installation.until(a.address, is: "inactive")
                a.current.signal(SIGCONT)
                try await flap(times: 3)
                #expect(try await installation.incidents("inactive", open: true) == 1)
                a.current.signal(SIGSTOP)
                try await Task.sleep(for: Self.longerThanInactive)
                a.current.signal(SIGCONT)
                try await installation.until("the outage should end") {
                    try await installation.incidents("inactive", open: true) == 0
                }
                #expect(try await installation.events("Server Inactive") == 1)
                try await b.kill()
            }
        }
    }
}
