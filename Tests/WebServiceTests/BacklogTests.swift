import Domain
import Foundation
import NIOCore
import Testing

@testable import WebService

@Suite("A reader who is behind", .timeLimit(.minutes(3)))
struct BacklogTests {
    private static func message(_ bytes: Int) -> EntryContent {
        .message(text: Sealed(String(repeating: "a", count: bytes)), priority: .normal)
    }

    private static func messages(_ count: Int, bytes: Int) -> [EntryContent] {
        Array(repeating: message(bytes), count: count)
    }

    private static let start = "\(MemoryService.epoch).0"

    @Test(
        "and only reads gets all that was missed, and what comes meanwhile, in order and without a resync",
        arguments: [(5, 60_000), (1_900, 20), (2_000, 1_800), (66, 60_000)])
    func resumes(count: Int, bytes: Int) async throws {
        try await withWeb { web in
            web.service.publish(Self.messages(count, bytes: bytes))
            let client = try await web.connect()

            let welcome = try await client.goLive(as: aliceToken, cursor: Self.start)
            for _ in 1...40 { web.service.publish([Self.message(60_000)]) }

            #expect(welcome.json["resync"] as? Bool == false)
            #expect(try await client.positions(upTo: count + 40) == Array(1...count + 40))
            client.close()
        }
    }

    @Test("because of a burst, and reads, gets all of it", arguments: [1, 8, 40])
    func takesBursts(atOnce: Int) async throws {
        try await withWeb { web in
            let client = try await web.connect()
            try await client.goLive(as: aliceToken)

            for _ in 0..<40 / atOnce { web.service.publish(Self.messages(atOnce, bytes: 60_000)) }

            #expect(try await client.positions(upTo: 40) == Array(1...40))
            client.close()
        }
    }

    @Test("and reads slowly, for much longer than who reads nothing is waited for, is sent everything")
    func carriesSlowReaders() async throws {
        try await withWeb {
            $0.limits.drainTimeout = .seconds(1)
        } body: { web in
            let client = try await web.connect(receiveBufferBytes: 65_536)
            try await client.goLive(as: aliceToken)
            try await client.setReading(false)
            let began = ContinuousClock.now
            web.service.publish(Self.messages(60, bytes: 60_000))
            for _ in 1...60 { web.service.publish([Self.message(60_000)]) }

            let positions = try await withThrowingTaskGroup(of: Void.self) { tasks in
                let readOnce = client.readOnce
                tasks.addTask {
                    while !Task.isCancelled {
                        readOnce()
                        try await Task.sleep(for: .milliseconds(30))
                    }
                }
                defer { tasks.cancelAll() }
                return try await client.positions(upTo: 120)
            }

            #expect(positions == Array(1...120))
            #expect(ContinuousClock.now - began > .seconds(2), "it was not slow")
            client.close()
        }
    }

    @Test("is answered at once, beside what waits")
    func answersWithinBacklog() async throws {
        try await withWeb { web in
            let client = try await web.connect(receiveBufferBytes: 65_536)
            try await client.goLive(as: aliceToken)
            try await client.setReading(false)
            web.service.publish(Self.messages(100, bytes: 60_000))
            while web.web.hub.backlogs.bytes == 0 { try await Task.sleep(for: .milliseconds(1)) }

            try await client.send(text: #"{"kind":"ping","ref":"now"}"#)
            try await client.send(
                text: #"{"kind":"send","ref":2,"clientId":"\#(ClientID.random())","thread":"77","text":"x"}"#)
            while web.service.entryCount == 100 { try await Task.sleep(for: .milliseconds(1)) }
            try await client.setReading(true)

            var entries: [Int] = []
            var answers: [String: Int] = [:]
            while entries.count < 100 {
                let frame = try await client.frame()
                if frame.kind == "entries" {
                    entries += frame.positions
                } else {
                    answers[frame.kind ?? "", default: 0] += entries.count
                }
            }
            #expect(entries == Array(1...100))
            #expect(answers.keys.sorted() == ["ack", "pong"])
            // What the system had taken already comes before.
            #expect(answers.values.allSatisfy { $0 < 40 }, "\(answers)")
            client.close()
        }
    }

    @Test("further than the limit is told resync once it reads, and is closed with 1013 when it stops again")
    func stopsReading() async throws {
        try await withWeb {
            $0.limits.backlogBytes = 1 << 20
            $0.limits.drainTimeout = .seconds(2)
            $0.limits.closeTimeout = .seconds(20)
        } body: { web in
            let client = try await web.connect(receiveBufferBytes: 65_536)
            try await client.goLive(as: aliceToken)
            try await client.setReading(false)
            var waiting = 0
            while web.web.hub.backlogs.bytes >= waiting {
                waiting = web.web.hub.backlogs.bytes
                web.service.publish([Self.message(60_000)])
                try await Task.sleep(for: .milliseconds(2))
            }
            let dropped = web.service.entryCount

            try await client.setReading(true)
            var seen = 0
            var last = try await client.frame()
            while last.kind == "entries" {
                seen += last.positions.count
                last = try await client.frame()
            }
            #expect(last.kind == "resync")
            let position = (last.json["cursor"] as? String).flatMap { LogCursor($0)?.position }
            #expect(position ?? 0 > Int64(seen), "it skips nothing")
            #expect(seen < dropped)

            try await client.setReading(false)
            for _ in 1...60 { web.service.publish([Self.message(60_000)]) }
            while web.service.attachedSessions > 0 { try await Task.sleep(for: .milliseconds(1)) }
            try await client.setReading(true)
            while last.closeCode == nil { last = try await client.frame() }
            #expect(last.closeCode == 1_013)
            client.close()
        }
    }

    @Test("of a log that becomes another one gets nothing of the old one after the resync")
    func changesLogs() async throws {
        try await withWeb { web in
            let client = try await web.connect(receiveBufferBytes: 65_536)
            try await client.goLive(as: aliceToken)
            try await client.setReading(false)
            web.service.publish(Self.messages(100, bytes: 60_000))
            while web.web.hub.backlogs.bytes == 0 { try await Task.sleep(for: .milliseconds(1)) }

            web.service.beginAnew()
            web.service.publish(Self.messages(3, bytes: 20))
            while web.web.hub.backlogs.bytes > 0 { try await Task.sleep(for: .milliseconds(1)) }
            try await client.setReading(true)

            var old = 0
            var frame = try await client.frame()
            while frame.kind == "entries" {
                old += frame.positions.count
                frame = try await client.frame()
            }
            #expect(old < 100)
            #expect(frame.kind == "resync")
            #expect(frame.json["cursor"] as? String == "\(MemoryService.nextEpoch).100")
            #expect(try await client.positions(upTo: 103) == [101, 102, 103])
            client.close()
        }
    }

    @Test(
        "one of many that do not read: together they hold no more than they may, and who reads misses nothing"
    )
    func holdsBudget() async throws {
        let limit = 16 << 20
        try await withWeb {
            $0.limits.allBacklogBytes = limit
        } body: { web in
            web.service.publish(Self.messages(30, bytes: 60_000))
            var largest = 0
            var slow: [RawConnection] = []
            for _ in 1...12 {
                let client = try await web.connect(receiveBufferBytes: 4_096)
                try await client.upgrade()
                try await client.setReading(false)
                try await client.hello(as: aliceToken, cursor: Self.start)
                while web.service.attachedSessions < slow.count + 1 {
                    try await Task.sleep(for: .milliseconds(1))
                }
                slow.append(client)
                largest = max(largest, web.web.hub.backlogs.bytes)
            }
            while web.web.hub.backlogs.isTight { try await Task.sleep(for: .milliseconds(1)) }
            let reader = try await web.connect()
            try await reader.goLive(as: bobToken, cursor: Self.start)
            for _ in 1...5 {
                web.service.publish([Self.message(60_000)])
                largest = max(largest, web.web.hub.backlogs.bytes)
            }

            #expect(try await reader.positions(upTo: 35) == Array(1...35))
            largest = max(largest, web.web.hub.backlogs.bytes)
            #expect(largest > limit / 2)
            #expect(largest <= limit)
            var resyncs = 0
            for client in slow {
                try await client.setReading(true)
                var frame = try await client.frame()
                while frame.kind != "resync", frame.positions.last != 35 { frame = try await client.frame() }
                if frame.kind == "resync" { resyncs += 1 }
                client.close()
            }
            #expect(resyncs > 0)
            reader.close()
            while web.service.attachedSessions > 0 { try await Task.sleep(for: .milliseconds(1)) }
            while web.web.hub.backlogs.bytes > 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }
}

extension RawConnection.Frame {
    /// The positions of the entries in it.
    fileprivate var positions: [Int] {
        (json["entries"] as? [[String: Any]] ?? []).compactMap { $0["position"] as? Int }
    }
}

extension RawConnection {
    /// The positions of all entries that come, up to this one, or to a frame of another kind.
    fileprivate func positions(upTo last: Int) async throws -> [Int] {
        var positions: [Int] = []
        while positions.last != last {
            let frame = try await frame()
            guard frame.kind == "entries" else {
                Issue.record("after \(positions.count) entries: \(frame.json) \(frame.closeCode ?? 0)")
                break
            }
            positions += frame.positions
        }
        return positions
    }
}
