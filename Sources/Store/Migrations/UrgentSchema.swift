import SQLDatabase

extension Store {
    /// Finds a thread's urgent messages without reading the others. Only urgent ones are in the index, so that it costs
    /// ordinary messages nothing, and none that was taken back. Making it reads the table once, and messages wait so long.
    static let urgentMigration = Migration(
        number: 5, name: "unread urgent messages", .expands,
        sql:
            "CREATE INDEX entry_urgent ON entry (thread_id, number, author_id) WHERE priority > 0 AND kind = 1"
    )
}
