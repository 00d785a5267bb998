import Testing

@Suite("Imports point down only")
struct ImportTests {
    @Test("no source imports what its target may not")
    func noSourceImportsWhatItMayNot() throws {
        for file in try SourceTree.shared.get().files {
            for finding in ImportTable.findings(in: file) { Issue.record("\(finding)") }
        }
    }

    @Test("every target is in the table, and the table names no others")
    func tableIsComplete() throws {
        let targets = try SourceTree.shared.get().targets

        #expect(
            targets == Set(ImportTable.rows.keys), "Give each target of Sources a row in ImportTable.swift.")
    }

    @Test("the arrows of the table have no circle")
    func tableHasNoCircle() {
        var rest = ImportTable.rows.mapValues(\.mayImport)
        while let free = rest.first(where: { row in row.value.allSatisfy { rest[$0] == nil } })?.key {
            rest[free] = nil
        }

        #expect(rest.isEmpty, "These import each other: \(rest.keys.sorted().joined(separator: ", ")).")
    }

    @Test("every component of the product has its folder, and in it a type of its name")
    func componentsHaveTheirRooms() throws {
        let files = try SourceTree.shared.get().swiftFiles
        for component in ["ASMService", "NotificationService", "WebService", "AdminWeb", "ConfigurationApp"] {
            let main = files.first { $0.path == "Sources/\(component)/\(component).swift" }

            let types = ["struct", "final class", "actor", "enum"].map { "package \($0) \(component)" }
            #expect(
                main?.code.contains { line in types.contains { line.hasPrefix($0) } } == true,
                "Sources/\(component)/\(component).swift must declare the package type \(component).")
        }
    }

    @Test(
        "a forbidden import is caught, however it is written",
        arguments: [
            ("WebService", "import Store"), ("WebService", "package import SQLDatabase"),
            ("AdminWeb", "@preconcurrency import PostgresDatabase"), ("Domain", "import NIOCore"),
            ("Store", "import Hummingbird"), ("Store", "import NIOHTTP1"), ("ServiceLink", "import Store"),
            ("ASMService", "import WebService"), ("NotificationService", "import struct Store.LogHead"),
            ("Observability", "import Domain"), ("SQLiteDatabase", "package import Domain"),
            ("Archive", "import Store"), ("Bench", "import ServiceLink"), ("ASMClient", "import ServiceLink"),
            ("ConfigurationApp", "@testable import WebService"), ("asm", "import TestSupport"),
            ("ASMService", "import GRDB"), ("WebService", "import CPq"),
            ("Domain", "\timport   Store // why"),
        ])
    func forbiddenImportIsCaught(target: String, line: String) {
        let file = SourceFile(path: "Sources/\(target)/Sample.swift", text: "// A sample.\n\(line)\n")

        let findings = ImportTable.findings(in: file)

        #expect(findings.map(\.line) == [2])
    }

    @Test(
        "an allowed import passes, and so does a word in a text or a comment",
        arguments: [
            ("WebService", "import ServiceLink"), ("Store", "package import Domain"), ("asm", "import Store"),
            ("ASMService", "import struct SQLDatabase.SQLError"), ("Domain", "// import Store"),
            ("Domain", "let text = \"\"\"\nimport Store\n\"\"\""), ("Domain", "let important = Store"),
            ("ServiceLink", "import NIOCore"), ("SQLDatabase", "import Logging"),
        ])
    func allowedImportPasses(target: String, text: String) {
        let file = SourceFile(path: "Sources/\(target)/Sample.swift", text: text)

        #expect(ImportTable.findings(in: file).map(\.description) == [])
    }
}
