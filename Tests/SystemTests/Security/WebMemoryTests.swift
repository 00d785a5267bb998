import Domain
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("The memory of a Web Service", .serialized)
    struct WebMemoryTests {
        /// How many connections who has no account holds open.
        private static let connections = 2_000
        private static let bodyBytes = 128 * 1024
        /// What they may cost. Without bounds it was 340 MB.
        private static let limit = 64 << 20

        enum Attack: String, CaseIterable, CustomTestStringConvertible {
            case bodies = "unfinished bodies with a made-up token"
            case logIns = "unfinished log-ins of 8 KiB"
            case heads = "unfinished heads of 15 KiB"

            var testDescription: String { rawValue }

            var bytes: [UInt8] {
                switch self {
                case .bodies:
                    Array(
                        """
                        POST /v1/threads/1/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \
                        \(String(repeating: "A", count: 43))\r\nContent-Length: \(bodyBytes + 1)\r\n\r\n
                        """.utf8) + [UInt8](repeating: 0x20, count: bodyBytes)
                case .logIns:
                    Array("POST /v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n".utf8)
                        + [UInt8](repeating: 0x20, count: 8_191)
                case .heads:
                    Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + [UInt8](repeating: 0x61, count: 15_000)
                }
            }
        }

        @Test(
            "2,000 connections of one address cost it less than 64 MiB, and people of that address still log in",
            .timeLimit(.minutes(2)), arguments: Attack.allCases)
        func bounded(attack: Attack) async throws {
            let deployment = try await Deployment(services: 1, webs: 1, users: 1)
            let process = deployment.webServers[0].current.processID
            let before = try Self.residentBytes(of: process)
            let bytes = ByteBuffer(bytes: attack.bytes)
            var open: [any Channel] = []
            for _ in 0..<Self.connections {
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: deployment.webServers[0].port).get()
                // One that is turned away is closed while it writes.
                channel.writeAndFlush(bytes, promise: nil)
                open.append(channel)
            }

            let login = try await deployment.logIn(1, at: 0)
            let thread = try await deployment.webs[0].createThread([login])
            try await deployment.webs[0].ask(
                "POST", "/v1/threads/\(thread)/messages", as: login, key: .random(), ["text": "Bed 5?"])
            let cost = try Self.residentBytes(of: process) - before

            #expect(cost < Self.limit, "\(attack.rawValue): \(cost >> 20) MiB more")
            for channel in open { channel.close(promise: nil) }
        }

        private static func residentBytes(of process: Int32) throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)
            let pages = try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) })
            return pages * Int(getpagesize())
        }
    }
}
