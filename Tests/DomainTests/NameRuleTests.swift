import Domain
import Testing

@Suite("What people and accounts can be called")
struct NameRuleTests {
    @Test(
        "Names that look like others, or steer what shows them, are refused",
        arguments: [
            "", " ann", "ann ", "a\u{200B}nn", "\u{FEFF}ann", "a\tb", "a\u{202E}b", "a\nb", "a\u{1B}[31m",
            "\u{A0}ann",
            String(repeating: "a", count: 201),
        ])
    func refused(_ name: String) {
        #expect(throws: NameProblem.self) { try NameRule.check(name: name) }
        #expect(throws: NameProblem.self) { try NameRule.check(login: name) }
    }

    @Test(
        "Names of people are names",
        arguments: ["Ann Lee, RN", "Ägnes Åberg", "陳美", "Dr. Omar Haddad", "O'Brien-Smith", "مريم"])
    func taken(_ name: String) throws { try NameRule.check(name: name) }

    @Test("A login with a comma cannot be named in a list, so there is none")
    func comma() {
        #expect(throws: NameProblem.comma) { try NameRule.check(login: "a,b") }
    }
}
