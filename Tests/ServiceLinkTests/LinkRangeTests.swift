import Domain
import SwiftProtobuf
import TestSupport
import Testing

@testable import ServiceLink

@Suite("Numbers of the link")
struct LinkRangeTests {
    private static let contract = Result { try LinkContract() }

    /// The bytes of a message in which one field, on the way to which others may lie, has a value.
    private static func message(_ way: [LinkContract.Field], _ value: Int64) -> [UInt8] {
        let last = way[way.count - 1]
        var bytes = Wire.number(last.number, UInt64(bitPattern: value))
        // Where a thread is needed beside it, it is there.
        if way.count > 1, last.name != "thread",
            let kind = try? contract.get().fields(of: way[way.count - 2].type),
            let thread = kind.first(where: { $0.name == "thread" && $0.type == "int64" })
        {
            bytes = Wire.number(thread.number, 7) + bytes
        }
        for field in way.dropLast().reversed() { bytes = Wire.bytes(field.number, bytes) }
        return bytes
    }

    /// All 64-bit numbers below a message.
    private static func ways(from message: String) throws -> [[LinkContract.Field]] {
        try contract.get().ways(from: message, to: ["int64"])
    }

    @Test(
        "every number of every request is refused where it cannot be, and the refusal names it",
        arguments: [Int64.min, Int64.min + 1, -1 - (1 << 53), -1] as [Int64])
    func requests(value: Int64) throws {
        let ways = try Self.ways(from: "Request")
        #expect(ways.count > 15)
        for way in ways {
            let request = try LinkRequest(serializedBytes: Self.message(way, value))
            #expect(request.fault?.description.contains("`\(way.last?.name ?? "")`") == true, "\(way)")
        }
    }

    @Test(
        "every number of every answer and push is refused where it cannot be, and the refusal names it",
        arguments: [Int64.min, Int64.min + 1, -2 - (1 << 53)] as [Int64])
    func answers(value: Int64) throws {
        let ways = try Self.ways(from: "Response")
        #expect(ways.count > 50)
        for way in ways {
            let response = try LinkResponse(serializedBytes: Self.message(way, value))
            #expect(response.fault?.description.contains("`\(way.last?.name ?? "")`") == true, "\(way)")
        }
        let pushes = try Self.ways(from: "Frame").filter {
            ["delivery", "session_ended", "followed"].contains($0[0].name)
        }
        #expect(pushes.count >= 7)
        for way in pushes {
            let kind = try LinkFrame(serializedBytes: Self.message(way, value)).kind
            #expect(kind?.pushedFault?.description.contains("`\(way.last?.name ?? "")`") == true, "\(way)")
        }
    }

    @Test(
        "positions and numbers go to 2^53 and no further",
        arguments: [
            "attach": "position", "get_message": "number", "mark_receipt": "read", "get_inbox": "before",
        ])
    func last(kind: String, field: String) throws {
        let way = try #require(
            Self.ways(from: "Request").first { $0.first?.name == kind && $0.last?.name == field })
        func fault(_ value: Int64) throws -> String? {
            var bytes = Wire.number(way[1].number, UInt64(bitPattern: value))
            // Where a thread is needed, it is there.
            if kind != "attach", kind != "get_inbox" { bytes = Wire.number(1, 7) + bytes }
            return try LinkRequest(serializedBytes: Wire.bytes(way[0].number, bytes)).fault?.description
        }

        #expect(try fault(1 << 53) == nil)
        #expect(try fault(1 << 53 + 1)?.contains("`\(field)`") == true)
        #expect(try fault(.max)?.contains("`\(field)`") == true)
    }

    @Test("lists, names and tokens of a request are bounded")
    func sizes() throws {
        let long = String(repeating: "x", count: LinkRange.nameBytes + 1)
        let many = [Int64](repeating: 1, count: LinkRange.listed + 1)
        let requests: [(LinkRequest, String)] = [
            (.with { $0.createThread = .with { $0.participants = many } }, "participants"),
            (.with { $0.addParticipants = .with { ($0.thread, $0.users) = (1, many) } }, "users"),
            (.with { $0.findUsers = .with { $0.logins = many.map { "\($0)" } } }, "logins"),
            (.with { $0.findUsers = .with { $0.search = long } }, "search"),
            (.with { $0.logIn = .with { $0.password = long } }, "password"),
            (.with { $0.token = .init(repeating: 1, count: LinkRange.tokenBytes + 1) }, "token"),
        ]
        for (request, field) in requests {
            #expect(request.fault?.description.contains("`\(field)`") == true, "\(field)")
        }
    }

    @Test("how many things a page holds is capped, whatever is asked for")
    func pages() {
        let wishes: [UInt32] = [0, 1, 50, 200, 201, .max]
        #expect(wishes.map { $0.page(atMost: 200) } == [1, 1, 50, 200, 200, 200])
    }

    @Test("a server is refused a request out of range, and goes on", .timeLimit(.minutes(1)))
    func refused() async throws {
        let server = try await TestServer(TestService())
        try await withPool(of: [server]) { pool, _ in
            let wish = LinkGetMessage.with { ($0.thread, $0.number) = (1, .min) }
            let error = await #expect(throws: Refusal.self) {
                try await pool.request(.getMessage(wish), token: [1])
            }
            #expect(error?.code == .badRequest)
            #expect(error?.message.contains("`number`") == true)
            let passed = server.service.seen.value.filter { request in
                if case .getMessage = request.body { return true }
                return false
            }
            #expect(passed.isEmpty)
            let answer = try await pool.echo("still here")
            #expect(answer == "still here")
        }
    }
}
