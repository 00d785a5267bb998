import Foundation
import Testing

extension Program {
    /// Runs a script of `Tests` with the Python that has what `Tests/Browser/requirements.txt` names.
    /// - Parameter script: its path below `Tests`.
    static func python(_ script: String, _ arguments: [String]) async throws -> Program {
        let given = ProcessInfo.processInfo.environment["ASM_TEST_PYTHON"]
        let path = given ?? repository + "/.build/venv/bin/python"
        try #require(
            FileManager.default.isExecutableFile(atPath: path),
            "There is no Python for tests at \(path): run `make test-deps`, or set ASM_TEST_PYTHON.")
        return try await Program(
            script, path: path, [repository + "/Tests/" + script] + arguments,
            environment: ["PYTHONDONTWRITEBYTECODE": "1"])
    }

    private static var repository: String {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url.path
    }
}
