import Domain
import Logging
import ServiceLink
import SwiftProtobuf
import TestSupport
import Testing

@Suite("Versions of the link", .timeLimit(.minutes(1)))
struct LinkVersionTests {
    @Test(
        "are agreed on as the lower of the newest, if both understand it",
        arguments: [
            ((1, 1), (1, 1), 1), ((1, 1), (1, 2), 1), ((1, 3), (2, 2), 2), ((1, 1), (2, 2), nil),
            ((2, 3), (1, 1), nil), ((1, 1), (0, 0), nil), ((1, 2), (9, 2), nil),
        ] as [((UInt32, UInt32), (UInt32, UInt32), UInt32?)])
    func agreement(one: (UInt32, UInt32), other: (UInt32, UInt32), version: UInt32?) {
        let one = LinkVersions(oldest: one.0, newest: one.1)
        let other = LinkVersions(oldest: other.0, newest: other.1)

        #expect(one.agreed(with: other) == version)
        #expect(other.agreed(with: one) == version)
    }

    @Test("of two ends that differ by one serve each other, both ways", arguments: [true, false])
    func neighbours(serverIsNewer: Bool) async throws {
        var newer = LinkLimits()
        newer.versions = LinkVersions(oldest: 1, newest: 2)
        let server = try await TestServer(TestService(), limits: serverIsNewer ? newer : LinkLimits())
        try await withPool(of: [server], limits: serverIsNewer ? LinkLimits() : newer) { pool, _ in
            let answer = try await pool.echo("hello")
            #expect(answer == "hello")
        }
    }

    @Test("that have nothing in common keep the pool away, and it says so once")
    func strangers() async throws {
        var future = hastyLimits()
        future.versions = LinkVersions(oldest: 5, newest: 6)
        var hasty = hastyLimits()
        hasty.probeEvery = .milliseconds(20)
        let (itsLog, ourLog) = (RecordedLog(), RecordedLog())
        let new = try await TestServer(TestService(), limits: future, logger: itsLog.logger)
        let old = try await TestServer(TestService())
        try await withPool(of: [new, old], limits: hasty, logger: ourLog.logger) { pool, _ in
            try await eventually("the old server should serve, and the new one be tried again and again") {
                pool.areHealthy(1)
                    && itsLog.lines.count { $0.facts["link.reason"]?.contains("speaks version") == true } >= 4
            }
            for _ in 0..<10 {
                let answer = try await pool.echo("still")
                #expect(answer == "still")
            }
            let states = pool.servers.filter { $0.address == new.address }.map(\.state)
            #expect(states == [.unreachable])
            #expect(new.service.seen.value.isEmpty)
        }
        let said = ourLog.lines.filter { $0.level >= .warning }
        #expect(said.map { $0.facts["link.server"] } == ["\(new.address)"])
        let reason = said.first?.facts["link.reason"] ?? ""
        #expect(reason.contains("speaks version") && reason.contains("(server 1.0)"), "\(reason)")
    }

    @Test("a request of a newer version is answered unsupported, and the connection lives on")
    func unknownRequests() async throws {
        let server = try await TestServer(TestService())
        let client = try await RawClient(server.address)
        try client.sendHello(version: 2, oldest: 1)
        // Request { id: 7, field 1002: {} }, then Request { id: 8, get_status }, with fields that nobody knows.
        client.send(Self.frame([0x12, 0x05, 0x08, 0x07, 0xD2, 0x3E, 0x00]))
        client.send(Self.frame([0xCA, 0x3E, 0x00]))
        client.send(
            Self.frame([
                0x12, 0x0A, 0x08, 0x08, 0xDA, 0x01, 0x00, 0xC2, 0x3E, 0x02, 0x08, 0x07, 0xC2, 0x3E, 0x00,
            ]))

        await client.received.until { Self.responses($0).count == 2 }
        let answers = Self.responses(client.received.value)
        #expect(answers.first { $0.id == 7 }?.refused.code == "unsupported")
        #expect(answers.contains { $0.id == 8 && $0.refused.code == "" })
        #expect(server.service.closedConnections.value == 0)
        client.close()
        await server.server.closeAtOnce()
    }

    @Test("a request that one server does not know yet goes to another, and fails when none does")
    func unsupportedElsewhere() async throws {
        let (old, new) = (try await TestServer(TestService()), try await TestServer(TestService()))
        let refusal = Refusal(.unsupported, "Not known.")
        old.service.follow { _ in .body(.refused(LinkRefused(refusal))) }
        try await withPool(of: [old, new]) { pool, _ in
            while !pool.areHealthy(2) { try await Task.sleep(for: .milliseconds(10)) }
            for _ in 0..<6 {
                let answer = try await pool.echo("known there")
                #expect(answer == "known there")
            }
            new.service.follow { _ in .body(.refused(LinkRefused(refusal))) }
            let error = await #expect(throws: Refusal.self) { _ = try await pool.echo("known nowhere") }
            #expect(error?.code == .unsupported)
        }
    }

    private static func frame(_ bytes: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: UInt32(bytes.count) >> UInt32(24 - 8 * $0)) } + bytes
    }

    private static func responses(_ bytes: [UInt8]) -> [LinkResponse] {
        var rest = bytes[...]
        var found: [LinkResponse] = []
        while rest.count >= 4 {
            let count = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= 4 + count else { break }
            if let frame = try? LinkFrame(serializedBytes: Array(rest.dropFirst(4).prefix(count))),
                case .response(let response)? = frame.kind
            {
                found.append(response)
            }
            rest = rest.dropFirst(4 + count)
        }
        return found
    }
}
