import ServiceLink
import Testing

@Suite("A web.config")
struct WebConfigTests {
    private static func file(_ settings: String) -> [UInt8] {
        Array(
            """
            <?xml version="1.0" encoding="utf-8"?>
            <configuration>
              <configSections><section name="other" type="x" /></configSections>
              <appSettings>
                <add key="webpages:Version" value="3.0.0.0" />
                \(settings)
              </appSettings>
              <system.web><compilation debug="false"><add key="Server" value="not:1" /></compilation></system.web>
            </configuration>
            """.utf8)
    }

    private static func error(of bytes: [UInt8]) -> WebConfigError? {
        do {
            _ = try WebConfigFile(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "gives the list of its key Server or Servers, whatever the case of the key and the spaces",
        arguments: [
            #"<add key="Server" value="ServerA:7400,ServerB:7401" />"#,
            #"<add key="Server" value="ServerA:7400, ServerB:7401"/>"#,
            #"<add key="SERVERS" value="  ServerA:7400 ,ServerB:7401 "></add>"#,
            #"<add value="ServerA:7400,&#32;ServerB:7401" key="servers" />"#,
            #"<add key="Server" value="old:1" /><clear /><add key="Server" value="ServerA:7400,ServerB:7401" />"#,
            #"<add key="Server" value="old:1" /><remove key="server" /><add key="Server" value="ServerA:7400,ServerB:7401" />"#,
        ])
    func reads(settings: String) throws {
        let config = try WebConfigFile(Self.file(settings))

        #expect(config.servers?.addresses.map(\.description) == ["ServerA:7400", "ServerB:7401"])
        #expect(config.leftovers.isEmpty)
    }

    @Test("takes IPv6 addresses in brackets, and a byte order mark before the declaration")
    func ipv6() throws {
        let bytes =
            [0xEF, 0xBB, 0xBF] + Self.file(#"<add key="Server" value="[::1]:7400, [fd00::2]:7400" />"#)

        let config = try WebConfigFile(bytes)

        #expect(config.servers?.addresses.map(\.host) == ["::1", "fd00::2"])
    }

    @Test("without the key names no servers")
    func none() throws {
        #expect(try WebConfigFile(Self.file("")).servers == nil)
        #expect(try WebConfigFile(Array("<configuration/>".utf8)).servers == nil)
        let elsewhere =
            "<configuration><other><appSettings><add key='Server' value='a:1'/></appSettings></other></configuration>"
        #expect(try WebConfigFile(Array(elsewhere.utf8)).servers == nil)
    }

    @Test(
        "reports a Port or channel key that is left over, with the line where what is to be deleted ends",
        arguments: [("Port", "7400"), ("port", "7400"), ("channel", "tcp"), ("Channel", "tcp")])
    func leftovers(key: String, value: String) throws {
        let config = try WebConfigFile(
            Self.file("<add key=\"Server\" value=\"a:1\" />\n<add key=\"\(key)\" value=\"\(value)\" />"))

        let leftover = try #require(config.leftovers.first)
        #expect(config.leftovers.count == 1)
        #expect(leftover.key.rawValue.lowercased() == key.lowercased())
        #expect(leftover.line == 7)
        #expect(
            leftover.description.hasPrefix("delete the element <add key=\"\(leftover.key.rawValue)\" … />"))
        #expect(leftover.description.contains("ends at line 7"))
        #expect(leftover.description.contains("ServerA:PortA"))
    }

    @Test("names the line where an element of several lines ends")
    func severalLines() throws {
        let config = try WebConfigFile(Self.file("<add key=\"Port\"\n value=\"7400\"\n/>"))
        #expect(config.leftovers.first?.description.contains("ends at line 8") == true)
        let wrong = try #require(Self.error(of: Self.file("<add key=\"Server\"\n value=\"a:1,,b:2\" />")))
        #expect(wrong.description.contains("key Server, which ends at line 7"), "\(wrong)")
        let nameless = try #require(Self.error(of: Self.file("<add\n value=\"a:1\" />")))
        #expect(nameless.description.contains("ends at line 7"), "\(nameless)")
    }

    @Test(
        "with a wrong list is refused with the line, the entry and what is expected",
        arguments: [
            ("a:1,,b:2", "entry 2 is empty"), ("a:1,", "entry 2 is empty"), ("", "is empty"),
            ("a:1, A:1", "the same as entry 1"), ("::1:7400", "in brackets"), ("a:0", "the port is 0"),
        ])
    func wrongLists(value: String, words: String) throws {
        let error = try #require(Self.error(of: Self.file("<add key=\"Server\" value=\"\(value)\" />")))

        #expect(error.description.contains("line 6"), "\(error)")
        #expect(error.description.contains(words), "\(error)")
    }

    @Test("of the form for one server says where its port goes")
    func oneServerForm() throws {
        let error = try #require(
            Self.error(
                of: Self.file(#"<add key="Server" value="ServerA" /><add key="Port" value="7400" />"#)))

        #expect(error.description.contains("ServerA"))
        #expect(error.description.contains("the port of the key Port (7400)"), "\(error)")
    }

    @Test("with both keys, or with one twice, is refused")
    func severalLists() throws {
        for second in ["Servers", "server"] {
            let error = try #require(
                Self.error(
                    of: Self.file(
                        "<add key=\"Server\" value=\"a:1\" /><add key=\"\(second)\" value=\"b:1\" />")))
            #expect(error.description.contains("keep one key Server"), "\(error)")
        }
    }

    @Test("with a document type or entities is refused before anything is expanded")
    func entities() {
        let documents = [
            #"<!DOCTYPE c [<!ENTITY s "a:1">]><configuration><appSettings><add key="Server" value="&s;"/></appSettings></configuration>"#,
            #"<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><configuration>&x;</configuration>"#,
            #"<!DOCTYPE configuration SYSTEM "http://127.0.0.1:1/x.dtd"><configuration/>"#,
            "<!DOCTYPE c [<!ENTITY a \"1\"><!ENTITY b \"&a;&a;\">]><configuration/>",
        ]
        for document in documents { #expect(Self.error(of: Array(document.utf8)) == .documentType) }
        let undeclared =
            #"<configuration><appSettings><add key="Server" value="&s;"/></appSettings></configuration>"#
        #expect(Self.error(of: Array(undeclared.utf8)) == .notXML(line: 1))
    }

    @Test("that is broken, or something else, is refused with what is expected")
    func broken() throws {
        #expect(Self.error(of: []) == .notXML(line: 1))
        #expect(Self.error(of: Array("Server = a:1".utf8)) == .notXML(line: 1))
        #expect(
            Self.error(of: Array("<configuration>\n<appSettings>\n</configuration>".utf8)) == .notXML(line: 3)
        )
        #expect(Self.error(of: Array("<appSettings/>".utf8)) == .wrongRoot("appSettings"))
        #expect(Self.error(of: Array("<Configuration/>".utf8)) == .wrongRoot("Configuration"))
        #expect(Self.error(of: Self.file("<add value='a:1' />")) == .noKey(line: 6))
        #expect(Self.error(of: [0xFF, 0xFE, 0x3C, 0x00]) == .notUTF8)
        #expect(
            Self.error(of: Array("<?xml version='1.0' encoding='utf-16'?><configuration/>".utf8)) == .notUTF8)
        let long = Self.file("<!--" + String(repeating: "x", count: WebConfigFile.sizeLimit) + "-->")
        #expect(Self.error(of: long) == .tooLong(limitBytes: WebConfigFile.sizeLimit))
    }

    @Test("whose settings are encrypted or in another file says so")
    func elsewhere() throws {
        let forms = [
            (#"<appSettings configSource="a.config"/>"#, "a.config"),
            (#"<appSettings file="b.config"/>"#, "b.config"),
            (#"<appSettings configProtectionProvider="P"><EncryptedData/></appSettings>"#, "encrypted"),
        ]
        for (form, word) in forms {
            let error = try #require(Self.error(of: Array("<configuration>\(form)</configuration>".utf8)))
            #expect(error.description.contains(word))
        }
    }
}
