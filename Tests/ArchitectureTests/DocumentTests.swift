import Foundation
import Testing

@Suite("Documents tell the truth about the tree")
struct DocumentTests {
    @Test("every link between documents leads to a file")
    func linksLeadToFiles() throws {
        let tree = try SourceTree.shared.get()
        for document in tree.documents {
            let folder = tree.root.appendingPathComponent(document.path).deletingLastPathComponent()
            for (line, target) in Documents.links(in: document) {
                let path = folder.appendingPathComponent(target).path
                let exists = FileManager.default.fileExists(atPath: path)

                #expect(
                    exists,
                    "\(document.path):\(line): the link to \(target) leads nowhere; correct it, or write that file."
                )
            }
        }
    }

    @Test("every source file that a document names exists")
    func namedFilesExist() throws {
        let tree = try SourceTree.shared.get()
        let paths = tree.files.map { "/" + $0.path }
        for document in tree.documents {
            for (line, name) in Documents.namedFiles(in: document) {
                let exists = paths.contains { $0.hasSuffix("/" + name) }
                #expect(exists, "\(document.path):\(line): there is no file \(name); say where that is now.")
            }
        }
    }

    @Test("ARCHITECTURE.md shows the arrows that are enforced", arguments: ImportTable.rows.keys.sorted())
    func architectureShowsTheArrows(target: String) throws {
        let document = try SourceTree.shared.get().files.first { $0.path == "ARCHITECTURE.md" }
        let row = document?.lines.first { $0.hasPrefix("| `\(target)` |") }
        let cell = row?.split(separator: "|").dropFirst().first ?? ""

        let shown = Set(cell.split { !$0.isWordLike }.map(String.init))
        let enforced = ImportTable.rows[target]?.mayImport ?? []
        #expect(shown == enforced || (target == "asm" && shown == ["all"]))
    }

    @Test("links and names of files are found, and nothing else is taken for one")
    func linksAndNamesAreFound() {
        let text =
            "See [a](b/c.md#part), [d](https://e.example/f) and\n`G/H+I.swift`, `j`, `k.l` and `M.proto`, `/N.json`.\n"
        let document = SourceFile(path: "docs/x.md", text: text)

        #expect(Documents.links(in: document).map(\.target) == ["b/c.md"])
        #expect(Documents.namedFiles(in: document).map(\.name) == ["G/H+I.swift", "M.proto"])
        #expect(Documents.namedFiles(in: document).map(\.line) == [2, 2])
    }
}

/// Reads what documents refer to.
enum Documents {
    /// Targets of Markdown links to files, without their anchors.
    static func links(in document: SourceFile) -> [(line: Int, target: String)] {
        document.lines.enumerated().flatMap { index, line in
            line.matches(of: #/\]\(([^)#:\s]+)(?:#[^)]*)?\)/#).map { (index + 1, String($0.output.1)) }
        }
    }

    /// Source files named in code quotes, whole or by the end of their path.
    static func namedFiles(in document: SourceFile) -> [(line: Int, name: String)] {
        document.lines.enumerated().flatMap { index, line in
            line.matches(of: #/`([A-Za-z0-9_][A-Za-z0-9_+./-]*\.(?:swift|proto|json|js|py))`/#)
                .map { (index + 1, String($0.output.1)) }
        }
    }
}

extension SourceTree {
    fileprivate var documents: [SourceFile] { files.filter { $0.path.hasSuffix(".md") } }
}
