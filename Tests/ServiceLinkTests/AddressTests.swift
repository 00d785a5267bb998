import ServiceLink
import Testing

@Suite("Addresses")
struct AddressTests {
    @Test(
        "are read as host and port",
        arguments: [
            ("127.0.0.1:7400", "127.0.0.1", 7_400), ("asm-a.example.org:1", "asm-a.example.org", 1),
            ("[::1]:65535", "::1", 65_535), ("[FD00::A:1]:80", "FD00::A:1", 80), ("[::]:80", "::", 80),
            ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80), ("localhost:0", "localhost", 0),
        ])
    func reads(text: String, host: String, port: Int) throws {
        let address = try BindAddress(text)

        #expect(address == BindAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(
        "that are wrong are refused with the part that is wrong",
        arguments: [
            ("", BindAddressError.empty),
            ("localhost", .missingPort("localhost")),
            ("localhost:", .missingPort("localhost:")),
            (":7400", .missingHost(":7400")),
            ("host:74x0", .invalidPort("host:74x0", port: "74x0")),
            ("host:65536", .invalidPort("host:65536", port: "65536")),
            ("host:-1", .invalidPort("host:-1", port: "-1")),
            ("ho st:1", .invalidHost("ho st:1", host: "ho st")),
            ("::1:7400", .unbracketedIPv6("::1:7400")),
            ("[::1:7400", .unclosedBracket("[::1:7400")),
            ("[::1]7400", .missingPort("[::1]7400")),
            ("[host]:1", .invalidHost("[host]:1", host: "host")),
            ("[zz:1]:1", .invalidHost("[zz:1]:1", host: "zz:1")),
            ("[1:2:3]:1", .invalidHost("[1:2:3]:1", host: "1:2:3")),
            ("[::1::2]:1", .invalidHost("[::1::2]:1", host: "::1::2")),
        ])
    func refuses(text: String, error: BindAddressError) {
        #expect(throws: error) { try BindAddress(text) }
        #expect(error.description.contains("expected") || error.description.contains("brackets"))
    }

    @Test("of one network interface are refused with what to write instead")
    func refusesZones() throws {
        let error = #expect(throws: BindAddressError.self) { try BindAddress("[fe80::1%eth0]:7400") }
        let text = try #require(error?.description)
        #expect(text.contains("‘%eth0’") && text.contains("write"), "\(text)")
    }
}

@Suite("Server lists")
struct ServerListTests {
    @Test("take commas with and without spaces, and addresses in brackets")
    func reads() throws {
        let list = try ServerList("a:1,b:2 ,  [::1]:3")

        #expect(list.addresses.map(\.description) == ["a:1", "b:2", "[::1]:3"])
        #expect(list.description == "a:1, b:2, [::1]:3")
    }

    @Test("tell which entry has the typo and what is expected")
    func namesTheEntry() throws {
        let error = #expect(throws: ServerListError.self) { try ServerList("a:1, b;2, c:3") }

        #expect(error == .invalidEntry(index: 2, entry: "b;2", reason: .missingPort("b;2")))
        let text = try #require(error?.description)
        #expect(text.contains("entry 2") && text.contains("b;2") && text.contains("HOST:PORT"))
    }

    @Test(
        "refuse nothing, gaps, port 0 and the same server twice",
        arguments: [
            ("", ServerListError.empty), ("  ", .empty),
            ("a:1,,b:2", .invalidEntry(index: 2, entry: "", reason: .empty)),
            ("a:1,", .invalidEntry(index: 2, entry: "", reason: .empty)),
            ("a:0", .invalidEntry(index: 1, entry: "a:0", reason: .invalidPort("a:0", port: "0"))),
            ("a:1, b:2, A:1", .duplicate(index: 3, entry: "A:1", firstIndex: 1)),
            (
                "[::1]:3, [0:0:0:0:0:0:0:1]:3",
                .duplicate(index: 2, entry: "[0:0:0:0:0:0:0:1]:3", firstIndex: 1)
            ),
            ("[fd00::A]:3, [FD00:0::a]:3", .duplicate(index: 2, entry: "[FD00:0::a]:3", firstIndex: 1)),
        ])
    func refuses(text: String, error: ServerListError) {
        #expect(throws: error) { try ServerList(text) }
        #expect(!error.description.isEmpty)
    }
}
