import TestSupport

extension Deployment {
    /// Holds the log for some seconds, so that nothing can be stored; answers when it is held.
    ///
    /// The process that holds it ends by itself.
    func lockLog(seconds: Int) async throws -> Program {
        try await hold("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE", seconds: seconds)
    }

    /// Holds for some seconds the locks that a statement takes; answers when it holds them.
    func hold(_ statement: String, seconds: Int) async throws -> Program {
        let commands = [
            "BEGIN", statement, #"\echo held"#,
            "SELECT pg_sleep(\(seconds))", "COMMIT",
        ]
        let program = try await Program(
            "psql", path: "/usr/bin/psql",
            ["-h", "127.0.0.1", "-p", "\(postgres.port)", "-U", "postgres", "-d", databaseName]
                + commands.flatMap { ["-c", $0] })
        try await program.progress.until("the log should be held") { progress in
            progress.outputText.contains("held") ? true : nil
        }
        return program
    }
}
