import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("PostgreSQL whose disk is full", .serialized)
    struct DatabaseDiskTests {
        @Test(
            "F21: a full disk under PostgreSQL refuses what is sent and nothing else; with room again the repeat is stored once",
            .timeLimit(.minutes(3)))
        func diskFull() async throws {
            try #require(geteuid() == 0, "Mounting a small file system needs root.")
            try await withTemporaryFolder { folder in
                let disk = try SmallDisk(folder + "/disk", megabytes: 160)
                defer { disk.remove() }
                let postgres = try PostgresServer(
                    settings: ["max_wal_size=64MB", "min_wal_size=32MB"], in: disk.path)
                defer { postgres.stop() }
                let deployment = try await Deployment(users: 2, database: postgres.createDatabase())
                let logins = try await [deployment.logIn(1, at: 0), deployment.logIn(2, at: 1)]
                let thread = try await deployment.webs[0].createThread(logins)
                func send(_ key: ClientID) async throws -> Web.Answer {
                    try await deployment.webs[0].call(
                        "POST", "/v1/threads/\(thread)/messages", as: logins[0], key: key,
                        ["text": .string(Self.text(of: 8_000))])
                }
                func stored() async throws -> Int {
                    try await deployment.webs[1].history(of: thread, as: logins[1]).count {
                        $0["kind"] == "message"
                    }
                }

                var accepted = 0
                for _ in 1...5 where try await send(.random()).status < 300 { accepted += 1 }
                try disk.fill(leavingMegabytes: 1)
                var last = (key: ClientID.random(), status: 0)
                repeat {
                    last.key = .random()
                    last.status = try await send(last.key).status
                    if last.status < 300 { accepted += 1 }
                } while last.status < 300 && accepted < 2_000

                #expect(last.status == 503, deployment.report)
                #expect(try await stored() == accepted, "reading goes on")
                disk.makeRoom()
                let again = try await send(last.key)
                #expect(again.status < 300 && again.body["replayed"] == .bool(false))
                #expect(try await stored() == accepted + 1)
            }
        }

        /// A text that does not shrink when it is compressed.
        private static func text(of bytes: Int) -> String {
            String(decoding: (0..<bytes).map { _ in UInt8.random(in: 0x21...0x7E) }, as: UTF8.self)
        }
    }
}
