import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("What a server may do")
    struct UnprivilegedTests {
        /// Runs the program with no capability at all, as its systemd units do. Who is not root has none anyway.
        private static func server(_ arguments: [String]) async throws -> Program {
            guard geteuid() == 0 else { return try await Program.asm(arguments) }
            return try await Program(
                "asm without privileges", path: "/usr/bin/setpriv",
                ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--", try Program.asmPath()]
                    + arguments)
        }

        @Test(
            "an ASM Service and a Web Service that have no privileges reach each other",
            .timeLimit(.minutes(1)))
        func reachEachOther() async throws {
            try await withTemporaryFolder { folder in
                let service = try await Self.server([
                    "service", "--database", "sqlite:\(folder)/asm.sqlite", "--listen", "127.0.0.1:0",
                ])
                let web = try await Self.server([
                    "web-service", "--server", "127.0.0.1:\(try await service.port())", "--listen",
                    "127.0.0.1:0",
                ])
                try await Deployment.untilReady(Web(port: try await web.port()), servers: 1)
            }
        }
    }
}
