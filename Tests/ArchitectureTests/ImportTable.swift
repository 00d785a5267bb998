/// Which target may import which: the arrows of ARCHITECTURE.md.
enum ImportTable {
    struct Row: Sendable {
        /// Targets of ours that may be imported.
        let mayImport: Set<String>
        /// What to do instead of importing another.
        let instead: String
    }

    static let rows: [String: Row] = [
        "Domain": Row(
            mayImport: [],
            instead: "Domain holds values and pure rules; what needs another target belongs into that one."),
        "Observability": Row(
            mayImport: [],
            instead:
                "Observability knows names and numbers only; hand it those from the target that has them."),
        "Failpoints": Row(
            mayImport: [],
            instead: "A failpoint knows nothing of the place that reaches it; hand it the error to throw."),
        "Health": Row(
            mayImport: [],
            instead: "It answers with what it is handed; hand it closures from the component that knows."),
        "SQLDatabase": Row(
            mayImport: [],
            instead:
                "The seam knows SQL and nothing of the product; statements and domain types meet in Store."),
        "PostgresDatabase": Row(
            mayImport: ["SQLDatabase", "CPq"],
            instead: "An engine implements SQLDatabase and nothing else; statements belong into Store."),
        "SQLiteDatabase": Row(
            mayImport: ["SQLDatabase"],
            instead: "An engine implements SQLDatabase and nothing else; statements belong into Store."),
        "Store": Row(
            mayImport: ["Domain", "SQLDatabase", "Failpoints"],
            instead: "Store is SQL and domain values; what uses it lies above it, in a component."),
        "Archive": Row(
            mayImport: ["Domain", "Failpoints"],
            instead:
                "The archive takes values and bytes; the component that archives reads them from the Store."),
        "Mail": Row(
            mayImport: ["Domain", "Failpoints", "CCurl"],
            instead: "Mail takes a message and a server's settings; who is written to is decided above it."),
        "TransportSecurity": Row(
            mayImport: [],
            instead: "It makes and loads certificates; what listens or connects with them lies above it."),
        "ServiceLink": Row(
            mayImport: ["Domain", "Observability", "TransportSecurity", "Failpoints"],
            instead: "The link carries requests; ASMService answers them through the LinkService protocol."),
        "ASMClient": Row(
            mayImport: ["Domain"],
            instead:
                "A client knows the client protocol only; share values and the live codec through Domain."),
        "ASMService": Row(
            mayImport: [
                "Store", "Archive", "ServiceLink", "Domain", "Observability", "SQLDatabase", "CSodium",
                "Mail", "TransportSecurity", "Failpoints",
            ],
            instead:
                "Components do not know each other; they talk over the ServiceLink, and asm composes them."),
        "NotificationService": Row(
            mayImport: ["ServiceLink", "Domain", "Observability"],
            instead: "It holds no database credentials: ask an ASM Service over the ServiceLink."),
        "WebService": Row(
            mayImport: ["ServiceLink", "Domain", "Observability", "TransportSecurity"], instead: webTier),
        "AdminWeb": Row(
            mayImport: ["ServiceLink", "Domain", "Observability", "TransportSecurity", "Health"],
            instead: webTier),
        "ConfigurationApp": Row(
            mayImport: ["Store", "Archive", "Domain"],
            instead:
                "It prepares a server before any component runs; put what they share into Domain or Store."),
        "Synthetic": Row(
            mayImport: ["ASMClient", "Domain"],
            instead:
                "Synthetic users see what a client sees; what one tool alone needs belongs into that tool."),
        "Bench": Row(
            mayImport: ["Synthetic", "ASMClient", "Domain"],
            instead: "The load generator sees what a client sees, and nothing else; measure from outside."),
        "Drill": Row(
            mayImport: ["Synthetic", "ASMClient", "Domain"],
            instead: "A drill sees what a client sees, and nothing else; it proves the system from outside."),
        "asm": Row(
            mayImport: [
                "ASMService", "NotificationService", "WebService", "AdminWeb", "ConfigurationApp", "Bench",
                "Drill", "Synthetic", "Mail", "TransportSecurity", "ASMClient", "Store", "Archive",
                "PostgresDatabase",
                "SQLiteDatabase", "SQLDatabase",
                "ServiceLink", "Domain", "Observability", "Health", "Failpoints",
            ],
            instead: "asm composes products; tests' and C targets have no place in it."),
    ]

    private static let webTier = """
        The web tier holds no database credentials: ask an ASM Service over the ServiceLink (add a request to \
        Sources/ServiceLink/Contract/link.proto and answer it in ASMService).
        """

    /// Modules of others that are at home in few of our targets. A name that ends in `*` stands for all that begin so.
    static let homes: [(module: String, targets: Set<String>, instead: String)] = [
        ("CPq", ["PostgresDatabase"], "libpq is used through the SQLDatabase seam."),
        ("GRDB*", ["SQLiteDatabase"], "SQLite is used through the SQLDatabase seam."),
        ("CCurl", ["Mail"], "E-mail is sent by Mail."),
        ("CSodium", ["ASMService"], "Passwords are hashed by ASMService's PasswordHasher."),
        ("SwiftProtobuf", ["ServiceLink"], "The link's messages are encoded in ServiceLink."),
        ("Hummingbird*", ["WebService", "AdminWeb"], "Only the web tier speaks HTTP as a server."),
        ("HTTPTypes", ["WebService", "AdminWeb"], "Only the web tier speaks HTTP as a server."),
        (
            "NIOHTTP1", ["WebService", "AdminWeb", "ASMClient", "Bench", "Health"],
            "Only the web tier speaks HTTP as a server; what says how a component is does so through Health."
        ),
        ("ArgumentParser", ["asm"], "Commands live in asm; hand values on in a configuration struct."),
        (
            "NIO*",
            [
                "PostgresDatabase", "TransportSecurity", "ServiceLink", "ASMService", "NotificationService",
                "WebService", "AdminWeb", "Health", "ASMClient", "Bench", "Mail", "asm",
            ],
            "This target does no networking of its own; take a closure or a value instead."
        ),
        ("XCTest", [], "Tests use Swift Testing, and live under Tests."),
        ("Testing", [], "Tests live under Tests."),
    ]

    /// The imports of a file that the table does not allow.
    static func findings(in file: SourceFile) -> [Finding] {
        guard file.isSource, file.isSwift else { return [] }
        let ours = Set(rows.keys).union(["CPq", "CSodium", "TestSupport"])
        let row = rows[file.target]
        return imports(of: file).compactMap { line, module in
            if let row, ours.contains(module), !row.mayImport.contains(module) {
                let allowed = row.mayImport.sorted().joined(separator: ", ")
                return Finding(
                    path: file.path, line: line,
                    advice: """
                        \(file.target) must not import \(module)\
                        \(allowed.isEmpty ? "" : " (it may import \(allowed))"). \(row.instead)
                        """)
            }
            guard let home = homes.first(where: { matches(module, $0.module) }),
                !home.targets.contains(file.target)
            else { return nil }
            return Finding(
                path: file.path, line: line,
                advice: "\(file.target) must not import \(module). \(home.instead)")
        }
    }

    private static func matches(_ module: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? module.hasPrefix(pattern.dropLast()) : module == pattern
    }

    /// The modules that a file imports: `import X`, `package import struct X.Y`, `@testable import X`.
    static func imports(of file: SourceFile) -> [(line: Int, module: String)] {
        let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "func", "typealias", "let", "var",
        ]
        return file.code.enumerated().compactMap { index, line in
            var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ";" })[...]
            while let first = words.first, first.hasPrefix("@") || levels.contains(first) {
                words.removeFirst()
            }
            guard words.popFirst() == "import" else { return nil }
            if let first = words.first, kinds.contains(first) { words.removeFirst() }
            guard let module = words.first?.prefix(while: { $0 != "." }) else { return nil }
            return (index + 1, String(module))
        }
    }
}
