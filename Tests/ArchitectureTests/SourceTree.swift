import Foundation

/// The repository as it lies beside this file.
struct SourceTree: Sendable {
    static let shared = Result { try SourceTree(root: rootFolder) }

    /// `Tests/ArchitectureTests/SourceTree.swift` lies three levels below the root.
    static let rootFolder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// What is looked at: folders with everything in them, and single files of the root.
    private static let folders = ["Sources", "Tests", "docs", ".ci"]
    private static let rootFiles = [
        "ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile", "Package.swift", "README.md",
    ]
    /// Pictures, sounds and the like; everything else has to be text in UTF-8.
    private static let binaryEndings: Set<String> = ["gif", "ico", "jpg", "pdf", "png", "wav", "woff2"]
    private static let leftOut: Set<String> = ["__pycache__", ".DS_Store"]

    let root: URL
    let files: [SourceFile]

    init(root: URL) throws {
        self.root = root
        var paths = Self.rootFiles.filter { FileManager.default.fileExists(atPath: root.path + "/" + $0) }
        for folder in Self.folders {
            let found = try FileManager.default.subpathsOfDirectory(atPath: root.path + "/" + folder)
            paths += found.map { folder + "/" + $0 }
        }
        files = try paths.sorted().compactMap { try Self.read($0, in: root) }
    }

    var swiftFiles: [SourceFile] { files.filter { $0.isSwift && !$0.isGenerated } }

    /// The folders of `Sources` that hold Swift.
    var targets: Set<String> { Set(files.filter { $0.isSwift && $0.isSource }.map(\.target)) }

    private static func read(_ path: String, in root: URL) throws -> SourceFile? {
        let url = root.appendingPathComponent(path)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue,
            !binaryEndings.contains(url.pathExtension.lowercased()),
            leftOut.isDisjoint(with: url.pathComponents)
        else { return nil }
        return SourceFile(path: path, text: try String(contentsOf: url, encoding: .utf8))
    }
}
