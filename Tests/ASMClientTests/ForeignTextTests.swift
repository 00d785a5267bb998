import Domain
import Testing

@testable import ASMClient

@Suite("What a server says of itself")
struct ForeignTextTests {
    private static let hostile = #"a\nFrom: b\u001B[2J"#
    private static let escaped = #"a\nFrom: b\u{1B}[2J"#

    @Test("is one line of a report, a mail and a terminal: its names, its state and its errors")
    func isOneLine() throws {
        let answer = """
            {"web":"\(Self.hostile)","servers":[{"address":"\(Self.hostile)","state":"\(Self.hostile)"}]}
            """
        let status = try WebAnswer.read(Array(answer.utf8), WebAnswer.status)
        var route = #"{"kind":"route","web":"\#(Self.hostile)","server":"\#(Self.hostile)"}"#
        let frame = try route.withUTF8 { try ServerFrame.decode($0) }
        let error = MessagingError(code: "internal-error", message: "a\nFrom: b\u{1B}[2J")

        #expect(status.web == Self.escaped)
        #expect(status.servers.map(\.address) == [Self.escaped])
        #expect(status.servers.map(\.state) == [Self.escaped])
        #expect(frame == .route(web: Self.escaped, server: Self.escaped))
        #expect("\(error)" == Self.escaped)
    }
}
