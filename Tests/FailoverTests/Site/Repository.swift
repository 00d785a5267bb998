import Foundation

/// Where the files are that operators use.
enum Repository {
    /// A file of the repository by its path from the root.
    static func path(_ relative: String) -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appendingPathComponent(relative).path
    }
}

/// A clock of a process's own, by libfaketime.
enum FakeClock {
    static let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

    /// The environment of a process whose wall clock is off by what a file says, and may be changed while it runs.
    static func environment(file: String) -> [String: String] {
        [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        ]
    }
}
